// The whole loop without its clock, on random histories: registry, tick, lease, holds and a host with faults.
#include "daemon/run/engine.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/histories.hpp"
#include "tests/unit/run/engine_model.hpp"

namespace sluice::testing {
namespace {

using Op = EngineModel::Op;

const Histories histories_to_run("max_success=20000 max_size=60", "max_success=500 max_size=60");

rc::Gen<std::vector<std::pair<Op, unsigned>>> histories() {
  std::vector<Op> all;
  for (int n = 0; n < static_cast<int>(Op::count); ++n) all.push_back(static_cast<Op>(n));
  std::vector<unsigned> dice;
  for (unsigned n = 0; n < 64; ++n) dice.push_back(n);
  return rc::gen::container<std::vector<std::pair<Op, unsigned>>>(
      rc::gen::pair(rc::gen::elementOf(all), rc::gen::elementOf(dice)));
}

RC_GTEST_PROP(Engine, EveryLimitGoesBackToWhatItWas, ()) {
  const auto history = *histories();
  EngineModel model;
  for (const auto& [op, dice] : history) RC_ASSERT(model.apply(op, dice) == std::string());
  RC_ASSERT(model.finish() == std::string());
}

// ---- what must happen (the property above checks what must not)

constexpr const char* kA = "/system.slice/a.service";
constexpr const char* kB = "/system.slice/b.service";

TEST(Engine, APinIsWrittenAndASuspensionGivesTheBaselineBack) {
  EngineModel model;
  model.tick_in_peace();
  const auto baseline = model.find(kA)->knobs.at(Knob::cpu_max).external.front();
  PinCommand pin;
  pin.task = "a";
  pin.cpu_cores = 2;
  ASSERT_TRUE(model.engine->submit(pin));
  model.tick_in_peace();
  model.tick_in_peace();
  EXPECT_EQ(std::get<CpuMax>(model.find(kA)->knobs.at(Knob::cpu_max).value).quota, Usec{200'000});
  EXPECT_FALSE(model.on_file().empty());
  ASSERT_TRUE(model.engine->submit(SuspendCommand{"a", "test"}));
  model.tick_in_peace();
  model.tick_in_peace();
  EXPECT_EQ(model.find(kA)->knobs.at(Knob::cpu_max).value, baseline);
}

TEST(Engine, ATaskThatLeavesTheConfigurationIsGivenBackAndForgotten) {
  EngineModel model;
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  ASSERT_TRUE(model.find(kB)->knobs.at(Knob::cpu_max).ours);
  const auto known = model.engine->registry().tasks().size();
  model.engine->reload(EngineModel::config(2));
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  EXPECT_FALSE(model.find(kB)->knobs.at(Knob::cpu_max).ours);
  EXPECT_EQ(model.engine->registry().tasks().size(), known - 2) << "both of the name b";
  EXPECT_EQ(model.host.opened.size(), known - 2) << "no descriptor is kept of them";
}

TEST(Engine, OfACgroupAndOneInsideItTheInnerOneIsGovernedAndTheOuterOneGivenBack) {
  EngineModel model;
  const auto sentences = [&] {
    std::size_t n = 0;
    for (const auto& s : model.engine->take_sentences())
      n += s.text.find("matches a rule and is not governed") != std::string::npos ? 1 : 0;
    return n;
  };
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  ASSERT_TRUE(model.find(kA)->knobs.at(Knob::cpu_max).ours);
  EXPECT_EQ(sentences(), 0U);
  const std::string inner = std::string(kA) + "/inner.slice/b.service";
  model.host.add(inner);
  std::size_t said = 0;
  for (int i = 0; i < 20; ++i) {
    model.tick_in_peace();
    said += sentences();
  }
  EXPECT_FALSE(model.find(kA)->knobs.at(Knob::cpu_max).ours);
  EXPECT_TRUE(model.find(inner.c_str())->knobs.at(Knob::cpu_max).ours);
  EXPECT_EQ(said, 1U);
  std::erase_if(model.host.groups, [&](const auto& g) { return g.second.path == inner; });
  for (int i = 0; i < 5; ++i) model.tick_in_peace();
  EXPECT_TRUE(model.find(kA)->knobs.at(Knob::cpu_max).ours) << "alone again";
}

TEST(Engine, ACgroupThatGoesLeavesNothingInTheLease) {
  EngineModel model;
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  const auto before = model.on_file().size();
  ASSERT_GT(before, 0U);
  model.host.groups.erase(model.host.groups.begin());
  model.tick_in_peace();
  EXPECT_LT(model.on_file().size(), before);
}

TEST(Engine, TheFirstOfANameKeepsItAndWhatWasOrderedForIt) {
  EngineModel model;
  model.tick_in_peace();
  const auto name_of = [&](const char* path) {
    for (const auto& [id, facts] : model.engine->registry().tasks()) {
      if (facts.cgroup == path) return facts.name;
    }
    return std::string();
  };
  const bool first_is_b = name_of(kB) == "b";
  const char* first = first_is_b ? kB : "/other.slice/b.service";
  ASSERT_TRUE(model.engine->submit(SuspendCommand{"b", "test"}));
  model.tick_in_peace();
  // It restarts as another cgroup of the same path, while the other one of that name exists.
  std::erase_if(model.host.groups, [&](const auto& g) { return g.second.path == first; });
  model.host.add(first);
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  EXPECT_EQ(name_of(first), "b");
  for (const auto& task : model.engine->report()->tasks) {
    EXPECT_EQ(task.mode == TaskMode::suspended, task.cgroup == first) << task.cgroup;
  }
}

// ---- rules that govern nothing

config::Config rules(std::initializer_list<const char*> units) {
  config::Config c = EngineModel::config(0);
  c.tasks.clear();
  int line = 3;
  for (const char* unit : units) {
    config::Task t;
    t.match_unit = unit;
    t.origin = "x.toml:" + std::to_string(line++);
    c.tasks.push_back(t);
  }
  return c;
}

std::vector<std::string> sentences_of(EngineModel& model, int ticks) {
  std::vector<std::string> all;
  for (int i = 0; i < ticks; ++i) {
    model.tick_in_peace();
    for (auto& s : model.engine->take_sentences()) all.push_back(std::move(s.text));
  }
  return all;
}

TEST(Rules, ThatMatchNothingAreToldOnceAfterSomeWalks) {
  EngineModel model;
  model.engine->reload(rules({"a.service", "c-misspelt.service"}));
  EXPECT_TRUE(sentences_of(model, 3).empty()) << "a service may start a little later";
  const auto told = sentences_of(model, 60);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told.front(), "x.toml:4: match.unit = \"c-misspelt.service\" matches no cgroup");
  EXPECT_EQ(model.engine->registry().silent(), told);
  model.host.add("/system.slice/c-misspelt.service");
  EXPECT_EQ(sentences_of(model, 5).front(),
            "x.toml:4: match.unit = \"c-misspelt.service\" has found its first cgroup");
  EXPECT_TRUE(model.engine->registry().silent().empty());
}

TEST(Rules, ThatMatchedOnceAreNoMistake) {
  EngineModel model;
  model.engine->reload(rules({"a.service"}));
  EXPECT_TRUE(sentences_of(model, 2).empty());
  model.host.groups.clear();
  EXPECT_TRUE(sentences_of(model, 60).empty());
}

TEST(Rules, BehindOneThatTakesAllTheirsSayWhich) {
  EngineModel model;
  model.engine->reload(rules({"*.service", "a.service"}));
  const auto told = sentences_of(model, 60);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told.front(),
            "x.toml:4: match.unit = \"a.service\" governs nothing: the rule at x.toml:3 comes first and "
            "takes what it "
            "matches; put that one behind it");
}

TEST(Rules, OfATreeThatWasSeenInPartAreNotJudged) {
  EngineModel model;
  model.host.hidden = kA;
  model.engine->reload(rules({"a.service", "b.service"}));
  for (const auto& s : sentences_of(model, 60)) EXPECT_EQ(s.find("matches no"), std::string::npos) << s;
}

TEST(Orders, OfOneTickAreCheckedTogether) {
  EngineModel model;
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  SetBoundsCommand low, high;
  low.task = high.task = "a";
  low.memory_max = Bytes{400} << 20;
  high.memory_min = Bytes{800} << 20;
  EXPECT_TRUE(model.engine->submit(low));
  EXPECT_FALSE(model.engine->submit(high)) << "each alone is right";
}

}  // namespace
}  // namespace sluice::testing
