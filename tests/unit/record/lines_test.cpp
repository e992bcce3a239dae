#include "daemon/record/lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/unit/record/random_values.hpp"

namespace sluice::record {
namespace {

using sluice::testing::bytes_of;
using sluice::testing::bytes_of_tick;
using sluice::testing::Filler;
using sluice::testing::random_config;
using sluice::testing::random_tick;
using ::testing::HasSubstr;

std::string without_newline(std::string line) {
  EXPECT_EQ(line.back(), '\n');
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line, whatever is in it";
  line.pop_back();
  return line;
}

// A line with a valid checksum that was not written by us.
std::string forged(const std::string& body) {
  std::uint32_t sum = 2166136261U;
  for (const char c : body) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619U;
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", sum);
  return body + " #" + digits;
}

TEST(Lines, EveryFieldOfEveryTickComesBack) {
  EXPECT_TRUE(rc::check("what is written is read", [] {
    Filler filler(*rc::gen::arbitrary<std::uint32_t>());
    LineWriter out;
    LineReader in;
    const Header header{.daemon_version = "0.1 #'%", .real_usec = 12, .monotonic = MonotonicTime{Nsec{34}}};
    const auto h = in.header(without_newline(out.header(header)));
    RC_ASSERT(h.has_value());
    RC_ASSERT(h->daemon_version == header.daemon_version && h->monotonic == header.monotonic);

    const ConfigEntry config = random_config(filler);
    const auto c = in.entry(without_newline(out.line(config)));
    RC_ASSERT(c.has_value());
    RC_ASSERT(bytes_of(std::get<ConfigEntry>(*c).config) == bytes_of(config.config));

    TickEntry last;
    for (int i = 0; i < 12; ++i) {
      TickEntry tick = random_tick(filler, 4);
      // Some tasks stay the same or nearly so: what a line omits must be restored too.
      for (std::size_t n = 0; n < std::min(tick.input.tasks.size(), last.input.tasks.size()); ++n) {
        if (filler.dice(2) == 0 && tick.input.tasks[n].facts.id == last.input.tasks[n].facts.id)
          tick.input.tasks[n] = last.input.tasks[n];
      }
      const auto t = in.entry(without_newline(out.line(tick)));
      if (!t) RC_FAIL(t.error());
      RC_ASSERT(bytes_of_tick(std::get<TickEntry>(*t)) == bytes_of_tick(tick));
      last = tick;
    }
    const auto e = in.entry(without_newline(out.line(EndEntry{"stopped"})));
    RC_ASSERT(e.has_value() && std::get<EndEntry>(*e).reason == "stopped");
  }));
}

TEST(Lines, ATaskAtRestTakesFewBytes) {
  Filler filler(7);
  LineWriter out;
  (void)out.line(random_config(filler));
  TickEntry tick;
  for (std::uint64_t id = 1; id <= 10; ++id) {
    Observation o;
    o.facts.id = CgroupId{id};
    o.facts.name = o.facts.cgroup = "/system.slice/some-stream-task.service";
    filler.fill(o.sample.emplace());
    tick.input.tasks.push_back(o);
  }
  const auto first = out.line(tick).size();
  for (auto& o : tick.input.tasks) o.sample->read_at += std::chrono::milliseconds(100);
  const auto second = out.line(tick).size();
  EXPECT_GT(first, 10 * 200U);
  EXPECT_LT(second, 10 * 40U);
}

TEST(Lines, AForgottenTaskIsDescribedAgain) {
  LineWriter out;
  LineReader in;
  Filler filler(3);
  ASSERT_TRUE(in.header(without_newline(out.header({}))));
  ASSERT_TRUE(in.entry(without_newline(out.line(random_config(filler)))));
  TickEntry with;
  Observation o;
  o.facts.id = CgroupId{1};
  o.facts.name = "x";
  o.sample.emplace().memory_current = 7;
  with.input.tasks.push_back(o);
  TickEntry without;
  for (const TickEntry* tick : {&with, &without, &with}) {
    const auto t = in.entry(without_newline(out.line(*tick)));
    ASSERT_TRUE(t) << t.error();
    EXPECT_EQ(bytes_of_tick(std::get<TickEntry>(*t)), bytes_of_tick(*tick));
  }
}

class Damage : public ::testing::Test {
 protected:
  Damage() { EXPECT_TRUE(in.header(without_newline(out.header({})))); }
  std::string found(const std::string& line) {
    const auto e = in.entry(line);
    return e ? "nothing" : e.error();
  }
  LineWriter out;
  LineReader in;
  Filler filler{5};
};

TEST_F(Damage, AnyChangedByteIsNoticed) {
  const auto line = without_newline(out.line(random_config(filler)));
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string bad = line;
    bad[i] = bad[i] == '1' ? '2' : '1';
    EXPECT_THAT(found(bad), HasSubstr("checksum")) << i;
  }
}

TEST_F(Damage, AMissingLineIsNoticed) {
  (void)out.line(random_config(filler));
  EXPECT_THAT(found(without_newline(out.line(EndEntry{"x"}))), HasSubstr("lines are missing"));
}

TEST_F(Damage, ATickNeedsAConfigurationThatHasItsRule) {
  TickEntry tick;
  EXPECT_THAT(found(without_newline(out.line(tick))), HasSubstr("before any configuration"));
  ASSERT_EQ(found(without_newline(out.line(ConfigEntry{}))), "nothing");
  tick.input.tasks.emplace_back().facts.config_index = 0;
  EXPECT_THAT(found(without_newline(out.line(tick))),
              HasSubstr("a rule that the configuration does not have"));
}

TEST_F(Damage, ValuesThatWouldCrashATickAreRefused) {
  ASSERT_EQ(found(without_newline(out.line(random_config(filler)))), "nothing");
  TickEntry tick;
  Receipt r;
  r.knob = Knob::memory_high;  // and a quota is asked
  tick.input.receipts = {r};
  EXPECT_THAT(found(without_newline(out.line(tick))), HasSubstr("another knob's value"));
  tick = {};
  tick.plan.writes.push_back(
      {.id = {}, .knob = Knob::cpu_max, .value = CpuMax{Usec{5}, Usec{0}}, .reason = {}});
  EXPECT_THAT(found(without_newline(out.line(tick))), HasSubstr("another knob's value"));
  const LeaseEntry good{
      .id = {}, .path = "/", .knob = Knob::memory_high, .baseline = MemoryLimit{}, .ours = {MemoryLimit{}}};
  tick = {};
  tick.input.inherited = {good};
  EXPECT_EQ(found(without_newline(out.line(tick))), "nothing");
  for (const auto& spoil : std::initializer_list<void (*)(LeaseEntry&)>{
           [](LeaseEntry& l) { l.baseline = CpuMax{}; }, [](LeaseEntry& l) { l.ours.clear(); },
           [](LeaseEntry& l) { l.ours.push_back(CpuMax{}); },
           [](LeaseEntry& l) { l.knob = Knob::cpu_max; }}) {
    tick.input.inherited = {good};
    spoil(tick.input.inherited[0]);
    EXPECT_THAT(found(without_newline(out.line(tick))),
                HasSubstr("an inherited limit with another knob's value"));
  }
}

TEST_F(Damage, ForgedLinesAreErrorsAndNoMore) {
  ASSERT_EQ(found(without_newline(out.line(random_config(filler)))), "nothing");
  EXPECT_THAT(found(forged("end 2 'x 1")), HasSubstr("more on the line"));
  EXPECT_THAT(found(forged("end 3 x")), HasSubstr("where text belongs"));
  EXPECT_THAT(found(forged("end 4 '%4")), HasSubstr("two hexadecimal digits"));
  EXPECT_THAT(found(forged("end 5")), HasSubstr("ends too early"));
  EXPECT_THAT(found(forged("new 6")), HasSubstr("unknown kind, 'new'"));
  EXPECT_THAT(found(forged("tick 7 0 0 0 0 1 0 4096 99999999999")), HasSubstr("longer than its line"));
  EXPECT_THAT(found(forged("tick 8 0 0 0 0 1 0 4096 0 0 1 77 0 0")),
              HasSubstr("a kind of value that does not exist"));
  EXPECT_THAT(found(forged("tick 9 300 0 0 0 1 0 4096 0 0 0 0 0")), HasSubstr("out of its range"));
  EXPECT_THAT(found(forged("tick 10 0 0 0 0 1 0 4096 0 0 0 0 0 0 0 0 0 0 1 5 1 0 0 0")),
              HasSubstr("no earlier line describes"));
  EXPECT_THAT(found(forged("tick 11 0 0 0 0 x 0 4096 0 0 0 0 0 0 0")),
              HasSubstr("where a real number belongs"));
  EXPECT_THAT(found(""), HasSubstr("no checksum"));
}

TEST(Lines, RandomBytesWithAGoodChecksumNeverCrash) {
  EXPECT_TRUE(rc::check("a value or an error", [] {
    LineWriter out;
    LineReader in;
    Filler filler(*rc::gen::arbitrary<std::uint32_t>());
    RC_ASSERT(in.header(without_newline(out.header({}))).has_value());
    RC_ASSERT(in.entry(without_newline(out.line(random_config(filler)))).has_value());
    std::string line = out.line(random_tick(filler, 3));
    line.resize(line.size() - 11);
    for (auto n = filler.dice(6) + 1; n > 0; --n) {
      const auto at = 7 + filler.dice(line.size() - 7);
      line[at] = "0123456789-= '%x"[filler.dice(16)];
    }
    (void)in.entry(forged(line));
  }));
}

}  // namespace
}  // namespace sluice::record
