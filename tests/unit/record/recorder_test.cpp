#include "daemon/record/recorder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "daemon/record/lines.hpp"
#include "daemon/record/reader.hpp"
#include "tests/unit/record/random_values.hpp"

namespace sluice::record {
namespace {

namespace fs = std::filesystem;
using sluice::testing::bytes_of_tick;
using sluice::testing::Filler;
using sluice::testing::random_config;
using sluice::testing::random_tick;
using ::testing::HasSubstr;

class Recording : public ::testing::Test {
 public:
  ~Recording() override { fs::remove_all(folder); }

 protected:
  Recording() {
    std::string pattern = fs::temp_directory_path() / "sluice-record-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    path = folder / "ticks";
  }

  // Records a configuration and `ticks` ticks; returns the ticks.
  std::vector<TickEntry> record(int ticks, RecorderOptions options = {.daemon_version = "1.2"}) {
    std::vector<TickEntry> made;
    auto recorder = Recorder::open(path, options);
    EXPECT_TRUE(recorder) << recorder.error();
    (*recorder)->add(random_config(filler));
    for (int i = 0; i < ticks; ++i) {
      made.push_back(random_tick(filler, 3));
      (*recorder)->add(made.back());
    }
    return made;
  }

  struct Read {
    std::vector<TickEntry> ticks;
    std::optional<std::string> end;
    std::optional<Problem> problem;
  };
  Read read() {
    Read r;
    auto reader = Reader::open(path);
    if (!reader) {
      r.problem = reader.error();
      return r;
    }
    for (;;) {
      auto next = reader->next();
      if (!next) r.problem = next.error();
      if (!next || !*next) break;
      if (auto* tick = std::get_if<TickEntry>(&**next)) r.ticks.push_back(std::move(*tick));
    }
    EXPECT_FALSE(reader->next().value()) << "over is over";
    r.end = reader->end();
    return r;
  }
  std::string content() {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& bytes) { std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes; }

  Filler filler{11};
  fs::path folder, path;
};

TEST_F(Recording, ComesBackWhole) {
  const auto made = record(50);
  const auto got = read();
  EXPECT_FALSE(got.problem) << describe(*got.problem);
  EXPECT_EQ(got.end, "stopped");
  ASSERT_EQ(got.ticks.size(), made.size());
  for (std::size_t i = 0; i < made.size(); ++i)
    EXPECT_EQ(bytes_of_tick(got.ticks[i]), bytes_of_tick(made[i]));
  const auto reader = Reader::open(path);
  EXPECT_EQ(reader->header().daemon_version, "1.2");
  EXPECT_GT(reader->header().real_usec, 0U);
}

TEST_F(Recording, IsRootsAndKeepsTheOneBefore) {
  record(1);
  const auto before = content();
  record(2);
  struct stat s {};
  ASSERT_EQ(::stat(path.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600U);
  std::ifstream old(path.string() + ".old", std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(old), {}), before);
}

TEST_F(Recording, EndsInOrderWhenTheFileIsFull) {
  auto recorder = Recorder::open(path, {.max_bytes = 20'000});
  ASSERT_TRUE(recorder);
  (*recorder)->add(random_config(filler));
  std::optional<std::string> told;
  for (int i = 0; i < 100'000 && !told; ++i) {
    (*recorder)->add(random_tick(filler, 3));
    told = (*recorder)->ended();
  }
  ASSERT_TRUE(told);
  EXPECT_THAT(*told, HasSubstr("has reached its 20000 bytes (--record-max-bytes)"));
  EXPECT_THAT(*told, HasSubstr(" tick(s) that waited are not in it."));
  const auto dropped = (*recorder)->dropped();
  EXPECT_GT(dropped, 0U);
  (*recorder)->add(random_tick(filler, 3));
  EXPECT_FALSE((*recorder)->ended()) << "told once";
  EXPECT_EQ((*recorder)->dropped(), dropped + 1);
  recorder->reset();
  EXPECT_LE(fs::file_size(path), 20'000U);
  EXPECT_GT(fs::file_size(path), 10'000U);
  const auto got = read();
  EXPECT_FALSE(got.problem) << describe(*got.problem);
  EXPECT_EQ(got.end, "size");
  EXPECT_GT(got.ticks.size(), 2U);
}

TEST_F(Recording, EndsWhenTheDiskIsTooSlow) {
  // A queue without capacity stands for a slow disk.
  auto recorder = Recorder::open(path, {.max_queued_samples = 0});
  ASSERT_TRUE(recorder);
  (*recorder)->add(random_config(filler));
  TickEntry tick;
  tick.input.tasks.emplace_back();
  (*recorder)->add(tick);
  const auto told = (*recorder)->ended();
  ASSERT_TRUE(told);
  EXPECT_THAT(*told, HasSubstr("cannot be written as fast as the host is sampled. 1 tick(s)"));
  recorder->reset();
  const auto got = read();
  EXPECT_FALSE(got.problem) << describe(*got.problem);
  EXPECT_EQ(got.end, "slow");
  EXPECT_TRUE(got.ticks.empty());
}

TEST_F(Recording, WhatCannotBeCreatedIsSaid) {
  const auto recorder = Recorder::open(folder / "missing" / "ticks", {});
  ASSERT_FALSE(recorder);
  EXPECT_THAT(recorder.error(), HasSubstr("cannot create"));
  EXPECT_THAT(recorder.error(), HasSubstr("No such file or directory"));
  fs::create_directory(folder / "directory");
  fs::create_symlink(folder / "elsewhere", folder / "link");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const auto* name : {"", "directory", "link", "fifo", "..", "directory/"}) {
    const auto other = Recorder::open(folder / name, {});
    ASSERT_FALSE(other) << name;
    EXPECT_THAT(other.error(), HasSubstr("no regular file"));
  }
}

TEST_F(Recording, MayGoToADirectoryThatEverybodyWrites) {
  fs::permissions(folder, fs::perms::all | fs::perms::sticky_bit);
  EXPECT_EQ(record(3).size(), 3U);
  EXPECT_EQ(read().ticks.size(), 3U);
}

TEST_F(Recording, WithoutAnEndIsReadable) {
  record(3);
  const auto all = content();
  put(all.substr(0, all.rfind("\nend ") + 1));
  const auto got = read();
  EXPECT_FALSE(got.problem);
  EXPECT_FALSE(got.end);
  EXPECT_EQ(got.ticks.size(), 3U);
}

TEST_F(Recording, CutOffInALineIsReadableUpToIt) {
  record(3);
  const auto all = content();
  const auto offset = all.rfind("\ntick ") + 1;
  put(all.substr(0, offset + 40));
  const auto got = read();
  EXPECT_EQ(got.ticks.size(), 2U);
  ASSERT_TRUE(got.problem);
  EXPECT_EQ(got.problem->file, path);
  EXPECT_EQ(got.problem->offset, offset);
  EXPECT_EQ(got.problem->line, 5U);
  EXPECT_THAT(describe(*got.problem), HasSubstr("ends in the middle of a line, after 40 bytes"));
  // The suggested cure works.
  EXPECT_THAT(got.problem->cure, HasSubstr("truncate -s " + std::to_string(offset) + " " + path.string()));
  fs::resize_file(path, offset);
  EXPECT_FALSE(read().problem);
}

TEST_F(Recording, ADamagedByteIsNamedWithItsPlace) {
  record(5);
  auto all = content();
  std::size_t offset = 0;
  for (int i = 0; i < 3; ++i) offset = all.find('\n', offset) + 1;
  all[offset + 9] ^= 1;
  put(all);
  const auto got = read();
  EXPECT_EQ(got.ticks.size(), 1U);
  ASSERT_TRUE(got.problem);
  EXPECT_EQ(got.problem->offset, offset);
  EXPECT_THAT(describe(*got.problem),
              HasSubstr("line 4, at byte " + std::to_string(offset) +
                        ": the line's checksum does not fit its content. The file was damaged."));
}

TEST_F(Recording, AnotherVersionSaysWhatToUse) {
  LineWriter out;
  put(out.header({.version = 99}));
  const auto got = read();
  ASSERT_TRUE(got.problem);
  EXPECT_THAT(
      describe(*got.problem),
      HasSubstr("it has format version 99, and this sluice-replay reads version " +
                std::to_string(kFormatVersion) + ". Use the sluice-replay of the release that recorded it."));
}

TEST_F(Recording, AForeignFileIsNoRecording) {
  for (const auto& bytes : {std::string("[node]\nmode = \"enforce\"\n"), std::string("\x7f"
                                                                                     "ELF\0\1\n",
                                                                                     7)}) {
    put(bytes);
    const auto got = read();
    ASSERT_TRUE(got.problem);
    EXPECT_THAT(describe(*got.problem),
                HasSubstr(path.string() + ": line 1, at byte 0: this is no recording of Sluice"));
  }
  put("");
  EXPECT_THAT(describe(*read().problem), HasSubstr("the file is empty"));
  fs::remove(path);
  EXPECT_THAT(describe(*read().problem), HasSubstr("it cannot be opened: No such file or directory"));
}

}  // namespace
}  // namespace sluice::record
