#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>

#include "tests/unit/actuate/leases.hpp"

namespace sluice::actuate {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

using Model = std::map<LeaseKey, LeaseEntry>;

std::vector<LeaseEntry> listed(const Model& model) {
  std::vector<LeaseEntry> list;
  for (const auto& [key, entry] : model) list.push_back(entry);
  return list;
}

// Lines in the order of writing, and the entries after each.
struct Written {
  std::vector<std::string> lines;
  std::vector<Model> after;  // after each line; the first is the start

  std::string text(std::size_t n) const {
    std::string all = format_lease({}, kBoot);
    for (std::size_t i = 0; i < n; ++i) all += lines[i];
    return all;
  }
};
// Few ids, so that entries are replaced and removed.
Written any_lines() {
  const auto n = *rc::gen::inRange<std::size_t>(0, 12);
  Written w;
  w.after.emplace_back();
  for (std::size_t i = 0; i < n; ++i) {
    const auto entry = *any_entry(rc::gen::inRange<std::uint64_t>(0, 4));
    auto model = w.after.back();
    const bool removal = *rc::gen::inRange(0, 3) == 0;
    w.lines.push_back(format_lease_change(removal ? drop(entry) : put(entry), kBoot));
    if (removal) {
      model.erase(key_of(entry));
    } else {
      model.insert_or_assign(key_of(entry), entry);
    }
    w.after.push_back(std::move(model));
  }
  return w;
}

TEST(LeaseText, IsLinesOfEightFields) {
  EXPECT_EQ(format_lease_change(put(memory(7, "/a b")), "B"),
            seal_lease_line("B 7 memory.high max 8192,4096 /a\\x20b"));
  EXPECT_EQ(format_lease_change(drop(cpu(7)), "B"), seal_lease_line("B 7 cpu.max - - /"));
  EXPECT_EQ(format_lease_change(put(cpu(7)), "B"),
            seal_lease_line("B 7 cpu.max 50000\\x20100000 70000\\x20100000 /a"));
}

RC_GTEST_PROP(LeaseText, TheLastLineOfEachLimitCounts, ()) {
  const auto w = any_lines();
  const auto text = w.text(w.lines.size());
  const auto parsed = parse_lease(text, kBoot);
  RC_ASSERT(parsed.entries == listed(w.after.back()));
  RC_ASSERT(parsed.bad.empty());
  RC_ASSERT(parsed.whole == text.size());
  RC_ASSERT((parsed.superseded > 0) == (parsed.entries.size() < w.lines.size()));
  const auto again = parse_lease(format_lease(parsed.entries, kBoot), kBoot);
  RC_ASSERT(again.entries == parsed.entries && again.superseded == 0u);
}

RC_GTEST_PROP(LeaseText, AnotherBootsLinesAreCountedAndNotBelieved, ()) {
  const auto w = any_lines();
  const auto parsed = parse_lease(w.text(w.lines.size()), kOtherBoot);
  RC_ASSERT(parsed.entries.empty() && parsed.bad.empty());
  RC_ASSERT(parsed.other_boots == w.after.back().size());
}

RC_GTEST_PROP(LeaseText, ATornLastLineLosesOnlyItself, ()) {
  const auto w = any_lines();
  RC_PRE(!w.lines.empty());
  const auto before = w.text(w.lines.size() - 1);
  const auto left = *rc::gen::inRange<std::size_t>(0, w.lines.back().size());
  const auto parsed = parse_lease(before + w.lines.back().substr(0, left), kBoot);
  RC_ASSERT(parsed.entries == listed(w.after[w.lines.size() - 1]));
  RC_ASSERT(parsed.bad.empty());
  RC_ASSERT(parsed.whole == before.size());
}

RC_GTEST_PROP(LeaseText, ADamagedByteCostsAtMostTwoLines, ()) {
  const auto entries = *rc::gen::suchThat(rc::gen::container<std::vector<LeaseEntry>>(any_entry()),
                                          [](const auto& list) { return !list.empty(); });
  auto text = format_lease(entries, kBoot);
  const auto first_entry = text.find('\n') + 1;
  const auto at = *rc::gen::inRange(first_entry, text.size());
  text[at] = *rc::gen::distinctFrom(text[at]);
  const auto parsed = parse_lease(text, kBoot);
  Model model;
  for (const auto& entry : entries) model.insert_or_assign(key_of(entry), entry);
  RC_ASSERT(parsed.entries.size() + 2 >= model.size());  // a lost newline joins two
  for (const auto& entry : parsed.entries) {
    RC_ASSERT(std::find(entries.begin(), entries.end(), entry) != entries.end());
  }
}

TEST(LeaseText, LinesThatNobodyWroteAreSaidToBeBad) {
  const auto why = [](const std::string& line) {
    const auto parsed = parse_lease(line, "B");
    EXPECT_THAT(parsed.entries, IsEmpty());
    return parsed.bad.size() == 1 ? parsed.bad[0].why : "";
  };
  EXPECT_EQ(why("lease2 x\n"), "it has not the fields of a line");
  EXPECT_EQ(why("lease1 00000000 B 1 cpu.max max\\x20100000 max\\x20100000 /a\n"),
            "it is of an unknown version");
  EXPECT_EQ(why("lease2 00000000 B 1 cpu.max - - /a\n"), "its checksum is wrong");
  EXPECT_EQ(why(seal_lease_line("B 1 io.max max max /a")), "its knob is unknown");
  EXPECT_EQ(why(seal_lease_line("B 1x memory.high max max /a")), "its cgroup id is no number");
  EXPECT_EQ(why(seal_lease_line("B 1 memory.high max max a")), "its path is malformed");
  EXPECT_EQ(why(seal_lease_line("B 1 memory.high 1\\x20100000 max /a")), "its baseline is malformed");
  EXPECT_EQ(why(seal_lease_line("B 1 memory.high - max /a")), "its baseline is malformed");
  for (const char* ours : {"-", "max,", ",max", "max,,1", "1\\x20100000"}) {
    EXPECT_EQ(why(seal_lease_line(std::string("B 1 memory.high max ") + ours + " /a")),
              "a value of ours is malformed");
  }
}

}  // namespace
}  // namespace sluice::actuate
