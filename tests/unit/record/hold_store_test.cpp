#include "daemon/record/hold_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cerrno>

#include "daemon/record/lines.hpp"
#include "tests/support/fake_files.hpp"
#include "tests/unit/cgroups/plain_tree.hpp"
#include "tests/unit/record/random_values.hpp"

namespace sluice::record {
namespace {

using sluice::testing::bytes_of;
using sluice::testing::Filler;
using test::FakeFiles;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::SizeIs;
using Step = FakeFiles::Step;

const std::string kBoot = "0f3a1c52-0000-4000-8000-00000000beef";
const std::string kOtherBoot = "0f3a1c52-0000-4000-8000-00000000cafe";

Holds any_holds() {
  Filler filler(*rc::gen::arbitrary<std::uint32_t>());
  Holds holds;
  filler.fill(holds);
  holds.revision = 0;
  return holds;
}

Holds some_holds(const std::string& reason = "release") {
  Holds holds;
  holds.tasks["orders"].pin =
      PinCommand{"orders", 2.5, Bytes{1} << 30, MonotonicTime{Nsec{7}}, reason, ":1.5"};
  holds.tasks["clicks\n\xff"].bounds.cpu_max_cores = 3;
  holds.tasks["clicks\n\xff"].cgroup = "/a b";
  holds.node = Suspension{"maintenance"};
  return holds;
}

HoldStore open(FakeFiles& files) {
  return std::move(HoldStore::open(files, "run", kBoot).value());
}

TEST(HoldText, ComesBackWhole) {
  EXPECT_TRUE(rc::check("what is written is read", [] {
    const auto holds = any_holds();
    const auto text = format_holds(holds, kBoot);
    const auto parsed = parse_holds(text, kBoot);
    RC_ASSERT(parsed.bad.empty());
    RC_ASSERT(bytes_of(parsed.holds) == bytes_of(holds));
    const auto other = parse_holds(text, kOtherBoot);
    RC_ASSERT(bytes_of(other.holds) == bytes_of(Holds{}));
    RC_ASSERT(other.other_boots == holds.tasks.size() + (holds.node || holds.mode ? 1 : 0));
  }));
}

TEST(HoldText, ADamagedByteCostsAtMostTwoLines) {
  EXPECT_TRUE(rc::check("the others are intact", [] {
    const auto holds = any_holds();
    auto text = format_holds(holds, kBoot);
    RC_PRE(!text.empty());
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    text[at] = *rc::gen::distinctFrom(text[at]);
    const auto parsed = parse_holds(text, kBoot);
    RC_ASSERT(parsed.bad.size() + parsed.other_boots >= 1u);
    RC_ASSERT(parsed.holds.tasks.size() + 2 >= holds.tasks.size());  // a lost newline joins two
    for (const auto& [name, hold] : parsed.holds.tasks)
      RC_ASSERT(bytes_of(hold) == bytes_of(holds.tasks.at(name)));
  }));
}

TEST(HoldText, OfALineThatIsNotWholeNothingIsBelieved) {
  const auto why = [](const std::string& body) {
    const auto parsed = parse_holds(sealed(body), "B");
    EXPECT_EQ(bytes_of(parsed.holds), bytes_of(Holds{})) << body;
    return parsed.bad.size() == 1 ? parsed.bad[0] : "none";
  };
  EXPECT_THAT(why("hold9 B n 0 0"), HasSubstr("line 1 (it is of an unknown version)"));
  EXPECT_THAT(why("hold1 B x 0 0"), HasSubstr("unknown kind"));
  EXPECT_THAT(why("hold1 B n 1 'why 0 1"), HasSubstr("ends too early")) << "half of it was read";
  EXPECT_THAT(why("hold1 B n 1 'why 0 1 9"), HasSubstr("a mode that does not exist"));
  EXPECT_THAT(why("hold1 B n 1 'why 0 0 7"), HasSubstr("more on it than belongs there"));
  EXPECT_THAT(why("hold1 B t 'a 0 1 'why 0 ' 0 0 0 0"), HasSubstr("ends too early"));
  EXPECT_THAT(why("hold1 B t 'a 0 1 'why 0 ' 0 0 0 0 '/a 'b"), HasSubstr("more on it than belongs there"));
  EXPECT_EQ(parse_holds(sealed("hold1 B t 'a 0 1 'why 0 ' 0 0 0 0 '/a"), "B").holds.tasks.size(), 1u);
  EXPECT_THAT(parse_holds("what is this\n", "B").bad,
              ElementsAre("line 1 (no checksum at the end of the line)"));
}

TEST(HoldStores, SurviveTheProcess) {
  FakeFiles files;
  {
    auto store = open(files);
    EXPECT_EQ(bytes_of(store.loaded()), bytes_of(Holds{}));
    ASSERT_TRUE(store.save(some_holds("first")));
    ASSERT_TRUE(store.save(some_holds()));
  }
  files.crash_process();
  const auto again = open(files);
  EXPECT_EQ(bytes_of(again.loaded()), bytes_of(some_holds()));
  EXPECT_THAT(again.notices(), IsEmpty());
  EXPECT_THAT(files.names("run"), ElementsAre("holds"));
  EXPECT_EQ(files.steps(Step::sync), 0u);
}

TEST(HoldStores, WithoutHoldsThereIsNoFile) {
  FakeFiles files;
  auto store = open(files);
  EXPECT_THAT(store.notices(), IsEmpty()) << "a first start is no loss";
  EXPECT_TRUE(store.save({}));
  ASSERT_TRUE(store.save(some_holds()));
  ASSERT_TRUE(store.save({}));
  EXPECT_THAT(files.names("run"), IsEmpty());
}

TEST(HoldStores, AnotherBootsAreDropped) {
  FakeFiles files;
  files.put("run/holds", format_holds(some_holds(), kOtherBoot));
  auto store = open(files);
  EXPECT_EQ(bytes_of(store.loaded()), bytes_of(Holds{}));
  EXPECT_THAT(store.notices(), IsEmpty()) << "they end with the boot";
  ASSERT_TRUE(store.save(some_holds("new")));
  EXPECT_EQ(parse_holds(*files.content("run/holds"), kBoot).other_boots, 0u);
}

TEST(HoldStores, DamagedLinesAreKeptAsideAndReported) {
  FakeFiles files;
  auto text = format_holds(some_holds(), kBoot);
  text[text.find("'orders") + 1] = 'X';
  files.put("run/holds", text);
  {
    const auto store = open(files);
    EXPECT_THAT(store.loaded().tasks, ElementsAre(Key("clicks\n\xff")));
    EXPECT_TRUE(store.loaded().node);
    EXPECT_THAT(
        store.notices(),
        ElementsAre("run/holds: pins, suspensions or bounds were lost, line 3 (the line's checksum does "
                    "not fit its content); the file was kept as holds.corrupt."));
  }
  EXPECT_EQ(files.content("run/holds.corrupt"), text);
  EXPECT_EQ(files.content("run/holds"), text) << "until the next save";
  files.fail_every(Step::link, EPERM);
  EXPECT_THAT(open(files).notices()[0], HasSubstr("the file could not be kept aside."));
  ASSERT_TRUE(open(files).save(some_holds()));
  EXPECT_THAT(open(files).notices(), IsEmpty());
}

TEST(HoldStores, EveryStepOfASaveFailsInTurn) {
  for (const int error : {ENOSPC, EIO, EROFS}) {
    for (const std::size_t taken : {0, 1, 100}) {
      for (std::size_t n = 1;; ++n) {
        SCOPED_TRACE("step " + std::to_string(n) + " after " + std::to_string(taken) + " bytes");
        FakeFiles files;
        const auto old = format_holds(some_holds("old"), kBoot), now = format_holds(some_holds("now"), kBoot);
        files.put("run/holds", old);
        auto store = open(files);
        files.fail_step(n, error, taken);
        const auto saved = store.save(some_holds("now"));
        if (files.fault_is_pending()) break;
        EXPECT_EQ(files.content("run/holds"), saved ? now : old);
        EXPECT_THAT(files.names("run"), ElementsAre("holds"));
        if (!saved) {
          EXPECT_EQ(saved.error().errno_value, error);
          EXPECT_THAT(saved.error().path, AnyOf("run/holds", "run/holds.new"));
        }
        files.fail_step(1, error);
        EXPECT_EQ(store.save({}).has_value(), false);
        EXPECT_TRUE(files.content("run/holds")) << "removal failed";
        EXPECT_TRUE(store.save(some_holds("now")));
        EXPECT_EQ(files.content("run/holds"), now);
      }
    }
  }
}

TEST(HoldStores, WhereverTheProcessIsKilledTheOldOrTheNewAreThere) {
  for (const std::size_t taken : {0, 100}) {
    for (std::size_t n = 1;; ++n) {
      FakeFiles files;
      const auto old = bytes_of(some_holds("old")), now = bytes_of(some_holds("now"));
      files.put("run/holds", format_holds(some_holds("old"), kBoot));
      {
        auto store = open(files);
        files.die_at_step(n, taken);
        (void)store.save(some_holds("now"));
      }
      const bool over = files.fault_is_pending();
      files.crash_process();
      auto next = open(files);
      EXPECT_THAT(bytes_of(next.loaded()), AnyOf(old, now));
      EXPECT_THAT(next.notices(), IsEmpty());
      EXPECT_TRUE(next.save(some_holds("next"))) << "whatever was left over";
      if (over) break;
    }
  }
}

TEST(HoldStores, WhatCannotBeReadIsReportedAndNotLost) {
  for (std::size_t n = 1; n <= 3; ++n) {
    FakeFiles files;
    const auto text = format_holds(some_holds(), kBoot);
    files.put("run/holds", text);
    files.fail_step(n, EIO);
    const auto store = HoldStore::open(files, "run", kBoot);
    EXPECT_EQ(store.has_value(), n > 1) << "without its directory nothing could be kept";
    EXPECT_EQ(files.content("run/holds"), text);
    if (!store) continue;
    EXPECT_EQ(bytes_of(store->loaded()), bytes_of(Holds{}));
    ASSERT_THAT(store->notices(), SizeIs(1));
    EXPECT_THAT(store->notices()[0], HasSubstr("Pins, suspensions and bounds of before are lost: "));
    EXPECT_THAT(store->notices()[0], HasSubstr("(EIO); the file was kept as holds.corrupt."));
    EXPECT_EQ(files.content("run/holds.corrupt"), text);
  }
}

TEST(HoldStores, WorkOnARealFileSystem) {
  const test::PlainTree tree;
  auto& files = files::posix_files();
  ASSERT_TRUE(HoldStore::open(files, tree / "run", kBoot)->save(some_holds()));
  EXPECT_EQ(bytes_of(HoldStore::open(files, tree / "run", kBoot)->loaded()), bytes_of(some_holds()));
  EXPECT_EQ(HoldStore::open(files, tree / "no/parent", kBoot).error().errno_value, ENOENT);
}

}  // namespace
}  // namespace sluice::record
