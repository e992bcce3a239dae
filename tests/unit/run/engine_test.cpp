// The whole loop but its clock, on random histories: registry, tick, lease, holds and a host with faults.
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

// ---- what must happen, where the property above says what must not

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
  // It is started anew: another cgroup of the same path, while the other one of the name lives.
  std::erase_if(model.host.groups, [&](const auto& g) { return g.second.path == first; });
  model.host.add(first);
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  EXPECT_EQ(name_of(first), "b");
  for (const auto& task : model.engine->report()->tasks) {
    EXPECT_EQ(task.mode == TaskMode::suspended, task.cgroup == first) << task.cgroup;
  }
}

}  // namespace
}  // namespace sluice::testing
