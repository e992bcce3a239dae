#include "bpf/loader/source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bpf/loader/libbpf.hpp"

namespace sluice::bpf {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(TellingLines, KeepsTheReasonAndDropsTheNoise) {
  const std::string lines = telling_lines(
      "libbpf: prog 'walk': BPF program load failed: Permission denied\n"
      "libbpf: prog 'walk': -- BEGIN PROG LOAD LOG --\n"
      "0: (79) r6 = *(u64 *)(r1 +8)\n"
      "R6 invalid mem access 'scalar'\n"
      "processed 12 insns (limit 1000000) max_states_per_insn 0\n"
      "-- END PROG LOAD LOG --\n"
      "libbpf: failed to load object 'walk_bpf'\n");
  EXPECT_EQ(lines,
            "prog 'walk': BPF program load failed: Permission denied | 0: (79) r6 = *(u64 *)(r1 +8) | "
            "R6 invalid mem access 'scalar'");
}

TEST(TellingLines, OfALongLogKeepsTheEnd) {
  std::string log;
  for (int i = 0; i < 5000; ++i) log += std::to_string(i) + ": (bf) r1 = r2\n";
  const std::string lines = telling_lines(log + "R1 !read_ok");
  EXPECT_LT(lines.size(), 200u);
  EXPECT_TRUE(lines.ends_with("R1 !read_ok"));
}

TEST(MakeError, NamesTheActionTheErrnoAndTheReason) {
  const Error error = make_error("loading the walk", EACCES, "libbpf: no\n");
  EXPECT_EQ(error.sentence, "loading the walk: Permission denied (libbpf: no)");
  EXPECT_EQ(error.os_error, EACCES);
}

TEST(LogCapture, CollectsWhatLibbpfSays) {
  LogCapture log;
  bpf_object* object = bpf_object__open_mem("no object file", 14, nullptr);
  EXPECT_EQ(object, nullptr);
  EXPECT_THAT(log.text(), HasSubstr("libbpf"));
}

TEST(Source, AskedForNothingSaysSo) {
  const auto source = Source::open({.iterator = false, .throttle = false});
  ASSERT_FALSE(source);
  EXPECT_THAT(source.error().sentence, Not(IsEmpty()));
}

// On every host: an object that works, or sentences with the reason.
TEST(Source, OpensOrSaysWhyNot) {
  auto source = Source::open({});
  if (!source) {
    EXPECT_THAT(source.error().sentence, Not(IsEmpty()));
    EXPECT_TRUE(source.error().sentence.ends_with(".")) << source.error().sentence;
    return;
  }
  EXPECT_TRUE(source->has_iterator() || source->has_throttle());
  EXPECT_EQ(source->events_fd() >= 0, source->has_throttle());
  if (!source->has_iterator() || !source->has_throttle()) {
    EXPECT_THAT(source->why_not(), Not(IsEmpty()));
  }

  const auto records = source->read();
  EXPECT_EQ(records.has_value(), source->has_iterator());
  if (records) {
    ASSERT_FALSE(records->empty()) << "the root is a cgroup";
    EXPECT_EQ(records->front().level, 0u);
    EXPECT_EQ(source->stats().cgroups, records->size());
  }
  const std::uint64_t nobody = 1;
  EXPECT_TRUE(source->set_governed({&nobody, 1}));
  const auto drained = source->drain([](const sluice_event&) { FAIL() << "nobody was throttled"; });
  EXPECT_EQ(drained.has_value(), source->has_throttle());
}

}  // namespace
}  // namespace sluice::bpf
