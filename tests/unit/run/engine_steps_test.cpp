// What the engine passes on, keeps and reports from one tick to the next, and to the next process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/run/engine.hpp"
#include "tests/unit/run/engine_model.hpp"

namespace sluice::testing {
namespace {

using Op = EngineModel::Op;
using Step = test::FakeFiles::Step;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr const char* kA = "/system.slice/a.service";

void tick_after(EngineModel& model, Nsec wait) {
  model.host.now += wait;
  model.engine->look(model.host.now);
  model.engine->full_tick({model.host.now, {}, {8, Bytes{16} << 30}});
}

const TaskReport* report_of(const EngineModel& model, std::string_view name) {
  for (const auto& task : model.engine->report()->tasks) {
    if (task.name == name) return &task;
  }
  return nullptr;
}

TaskMode mode_of(const EngineModel& model, std::string_view name) {
  const auto* task = report_of(model, name);
  return task ? task->mode : TaskMode::leaving;
}

PinCommand pin_of_a() {
  PinCommand pin;
  pin.task = "a";
  pin.cpu_cores = 1;
  return pin;
}

// Kills the process; the first tick of the next one.
void restart(EngineModel& model) {
  EXPECT_EQ(model.apply(Op::kill, 0), "");
  model.tick_in_peace();
}

// ---- walks

TEST(EngineWalks, WithoutAStampANewCgroupIsGovernedWithinDiscovery) {
  EngineModel model;
  std::erase_if(model.host.groups, [](const auto& g) { return g.second.path == kA; });
  model.tick_in_peace();
  model.host.add(kA);
  tick_after(model, 100ms);
  EXPECT_NE(report_of(model, "a"), nullptr);
}

TEST(EngineWalks, TheTreeIsWalkedWhenDiscoveryIsDueAndNotWithEachSample) {
  EngineModel model;
  tick_after(model, 0ms);
  const auto walks = model.host.walks;
  for (int i = 0; i < 9; ++i) tick_after(model, 10ms);
  EXPECT_EQ(model.host.walks, walks);
  tick_after(model, 10ms);
  EXPECT_EQ(model.host.walks, walks + 1);
}

TEST(EngineWalks, ATreeThatDidNotChangeIsWalkedSeldomAndAnotherOneAtOnce) {
  EngineModel model;
  model.host.stamp = 1;
  tick_after(model, 0ms);
  const auto walks = model.host.walks;
  for (int i = 0; i < 99; ++i) tick_after(model, 100ms);
  EXPECT_EQ(model.host.walks, walks);
  tick_after(model, 100ms);
  EXPECT_EQ(model.host.walks, walks + 1) << "10 s: what a stamp does not show";
  model.host.stamp = 2;
  tick_after(model, 100ms);
  EXPECT_EQ(model.host.walks, walks + 2);
}

TEST(EngineWalks, AReloadIsInForceWithTheNextTick) {
  EngineModel model;
  model.host.stamp = 1;
  model.tick_in_peace();
  ASSERT_EQ(mode_of(model, "b"), TaskMode::governed);
  model.engine->reload(EngineModel::config(2));
  tick_after(model, 1ms);
  EXPECT_EQ(mode_of(model, "b"), TaskMode::leaving);
}

TEST(EngineWalks, WhatGoesWrongIsASentenceAndOnce) {
  EngineModel model;
  model.host.walk_fails = true;
  tick_after(model, 0ms);
  const auto told = model.engine->take_sentences();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].tone, Engine::Sentence::Tone::bad);
  EXPECT_THAT(told[0].text, HasSubstr("could not be walked"));
  tick_after(model, 100ms);
  EXPECT_TRUE(model.engine->take_sentences().empty());
}

// ---- commands

TEST(EngineCommands, AreCheckedAndObeyedOnce) {
  EngineModel model;
  model.tick_in_peace();
  auto pin = pin_of_a();
  pin.task = "nobody";
  EXPECT_FALSE(model.engine->submit(pin));
  EXPECT_FALSE(model.engine->has_commands());
  pin = pin_of_a();
  ASSERT_TRUE(model.engine->submit(pin));
  model.tick_in_peace();
  EXPECT_EQ(mode_of(model, "a"), TaskMode::pinned);
  const auto revision = model.engine->state().holds.revision;
  model.tick_in_peace();
  EXPECT_EQ(model.engine->state().holds.revision, revision) << "it was obeyed already";
}

TEST(EngineCommands, AreCheckedAgainstAllTasksAfterAnEventTickToo) {
  EngineModel model;
  model.tick_in_peace();
  for (int i = 0; i < 2; ++i)  // the first has receipts, the second is about no task
    model.engine->event_tick({model.host.now, {}, {8, Bytes{16} << 30}}, {});
  EXPECT_TRUE(model.engine->submit(pin_of_a()));
}

TEST(EngineCommands, AReloadEndsModesAndBoundsAndKeepsPins) {
  EngineModel model;
  model.tick_in_peace();
  ASSERT_TRUE(model.engine->submit(pin_of_a()));
  ASSERT_TRUE(model.engine->submit(SetModeCommand{config::Mode::observe}));
  SetBoundsCommand bounds;
  bounds.task = "b";
  bounds.cpu_max_cores = 3;
  ASSERT_TRUE(model.engine->submit(bounds));
  model.tick_in_peace();
  ASSERT_EQ(model.engine->report()->node.mode, config::Mode::observe);
  ASSERT_EQ(report_of(model, "b")->cpu_max_cores, 3);
  model.engine->reload(EngineModel::config(0));
  model.tick_in_peace();
  EXPECT_EQ(model.engine->report()->node.mode, config::Mode::enforce);
  EXPECT_NE(report_of(model, "b")->cpu_max_cores, 3);
  EXPECT_EQ(mode_of(model, "a"), TaskMode::pinned);
  restart(model);
  EXPECT_EQ(model.engine->report()->node.mode, config::Mode::enforce)
      << "nor does the next process know them";
  EXPECT_NE(report_of(model, "b")->cpu_max_cores, 3);
  EXPECT_EQ(mode_of(model, "a"), TaskMode::pinned);
}

// ---- what the next process knows

TEST(EngineRestart, APinIsThereUntilItIsLifted) {
  EngineModel model;
  model.tick_in_peace();
  ASSERT_TRUE(model.engine->submit(pin_of_a()));
  model.tick_in_peace();
  restart(model);
  EXPECT_EQ(mode_of(model, "a"), TaskMode::pinned);
  ASSERT_TRUE(model.engine->submit(UnpinCommand{"a"}));
  model.tick_in_peace();
  restart(model);
  EXPECT_EQ(mode_of(model, "a"), TaskMode::governed);
}

TEST(EngineRestart, APinWhoseOwnerLeftDoesNotComeBack) {
  EngineModel model;
  model.tick_in_peace();
  auto pin = pin_of_a();
  pin.owner = ":1.5";
  ASSERT_TRUE(model.engine->submit(pin));
  model.tick_in_peace();
  ASSERT_TRUE(model.engine->submit(OwnerVanishedCommand{":1.5"}));
  model.tick_in_peace();
  restart(model);
  EXPECT_EQ(mode_of(model, "a"), TaskMode::governed);
}

TEST(EngineRestart, ASuspendedNodeIsSuspendedUntilItIsResumed) {
  EngineModel model;
  model.tick_in_peace();
  ASSERT_TRUE(model.engine->submit(SuspendCommand{"", "test"}));
  model.tick_in_peace();
  restart(model);
  EXPECT_TRUE(model.engine->report()->node.suspended);
  ASSERT_TRUE(model.engine->submit(ResumeCommand{""}));
  model.tick_in_peace();
  restart(model);
  EXPECT_FALSE(model.engine->report()->node.suspended);
}

TEST(EngineRestart, AModeIsKept) {
  EngineModel model;
  model.tick_in_peace();
  ASSERT_TRUE(model.engine->submit(SetModeCommand{config::Mode::observe}));
  model.tick_in_peace();
  restart(model);
  EXPECT_EQ(model.engine->report()->node.mode, config::Mode::observe);
}

TEST(EngineRestart, ANameStaysWithWhoWasSuspended) {
  EngineModel model;
  model.tick_in_peace();
  const auto* first = report_of(model, "b");
  ASSERT_NE(first, nullptr);
  const auto path = first->cgroup;
  ASSERT_TRUE(model.engine->submit(SuspendCommand{"b", "test"}));
  model.tick_in_peace();
  // The task restarted: its cgroup is the newer of the two with that name.
  std::erase_if(model.host.groups, [&](const auto& g) { return g.second.path == path; });
  model.host.add(path);
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  ASSERT_EQ(report_of(model, "b")->cgroup, path);
  restart(model);
  ASSERT_NE(report_of(model, "b"), nullptr);
  EXPECT_EQ(report_of(model, "b")->cgroup, path);
  EXPECT_EQ(mode_of(model, "b"), TaskMode::suspended);
}

TEST(EngineRestart, HoldsThatCouldNotBeKeptAreTriedAgainAndReportedOnce) {
  EngineModel model;
  for (int i = 0; i < 5; ++i) model.tick_in_peace();
  model.engine->take_sentences();
  model.files.fail_every(Step::rename, ENOSPC);
  ASSERT_TRUE(model.engine->submit(pin_of_a()));
  std::vector<Engine::Sentence> told;
  const auto listen = [&] {
    model.tick_in_peace();
    for (auto& sentence : model.engine->take_sentences()) told.push_back(sentence);
  };
  for (int i = 0; i < 3; ++i) listen();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].tone, Engine::Sentence::Tone::bad);
  EXPECT_THAT(told[0].text, HasSubstr("would not survive a restart"));
  model.files.clear_faults();
  for (int i = 0; i < 3; ++i) listen();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1].tone, Engine::Sentence::Tone::good);
  const auto renames = model.files.steps(Step::rename);
  listen();
  EXPECT_EQ(model.files.steps(Step::rename), renames) << "what is on file is not written again";
  restart(model);
  EXPECT_EQ(mode_of(model, "a"), TaskMode::pinned);
}

// ---- the lease

TEST(EngineLease, WithoutItNoNewLimitIsSetAndTheReasonIsReportedOnce) {
  EngineModel model;
  model.files.fail_every(Step::write, ENOSPC);
  std::vector<Engine::Sentence> told;
  int failed = 0;
  for (int i = 0; i < 5; ++i) {
    model.tick_in_peace();
    for (auto& sentence : model.engine->take_sentences()) told.push_back(sentence);
    for (const auto& report : model.engine->take_reports()) {
      for (const auto& n : report->notices) {
        if (n.kind != Notice::Kind::write_failed || n.task != "a" || n.receipt->knob != Knob::cpu_max)
          continue;
        ++failed;
        EXPECT_EQ(n.receipt->error_number, ENOSPC);
        EXPECT_EQ(n.receipt->result, Receipt::Result::not_tried);
      }
    }
  }
  EXPECT_FALSE(model.find(kA)->knobs.at(Knob::cpu_max).ours);
  EXPECT_EQ(report_of(model, "a")->breaker, BreakerState::closed);
  EXPECT_EQ(failed, 1);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_THAT(told[0].text, HasSubstr("no new limit is set"));
  model.files.clear_faults();
  for (int i = 0; i < 3; ++i) {
    model.tick_in_peace();
    for (auto& sentence : model.engine->take_sentences()) told.push_back(sentence);
  }
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1].tone, Engine::Sentence::Tone::good);
  EXPECT_TRUE(model.find(kA)->knobs.at(Knob::cpu_max).ours);
}

TEST(EngineLease, InPeaceEveryOrderGoesOutWithItsTick) {
  EngineModel model;
  tick_after(model, 0ms);
  EXPECT_FALSE(model.host.pending.empty());
  for (int i = 0; i < 5; ++i) model.tick_in_peace();
  for (const auto& report : model.engine->take_reports()) {
    for (const auto& n : report->notices) EXPECT_NE(n.kind, Notice::Kind::write_failed);
  }
}

TEST(EngineLease, BeforeTheFirstTickNothingIsKnownToBeGivenBack) {
  EngineModel model;
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  ASSERT_FALSE(model.on_file().empty());
  ASSERT_EQ(model.apply(Op::kill, 0), "");
  EXPECT_FALSE(model.engine->all_given_back());
  EXPECT_TRUE(model.engine->close());
  EXPECT_FALSE(model.on_file().empty());
}

TEST(EngineLease, AMemoryHighThatIsStillToBeGivenBackIsNotForgotten) {
  EngineModel model;
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  auto pin = pin_of_a();
  pin.memory_high = Bytes{400} << 20;
  ASSERT_TRUE(model.engine->submit(pin));
  for (int i = 0; i < 2; ++i) model.tick_in_peace();
  model.engine->stop();
  tick_after(model, 100ms);
  for (std::size_t i = model.host.pending.size(); i-- > 0;) {  // writes of memory.high are slow
    if (model.host.pending[i].order.knob != Knob::cpu_max) continue;
    ASSERT_EQ(model.host.land(model.host.pending[i]), "");
    model.host.answer(i);
  }
  tick_after(model, 100ms);
  EXPECT_FALSE(model.engine->all_given_back());
  EXPECT_TRUE(model.engine->close());
  EXPECT_FALSE(model.on_file().empty());
}

TEST(EngineLease, WhatIsGivenBackAtTheEndIsCounted) {
  EngineModel model;
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  ASSERT_TRUE(model.engine->submit(SuspendCommand{"b", "given back before the end"}));
  for (int i = 0; i < 3; ++i) model.tick_in_peace();
  ASSERT_TRUE(model.engine->submit(pin_of_a()));
  tick_after(model, 100ms);  // its order is in flight when the daemon stops
  ASSERT_FALSE(model.host.pending.empty());
  const auto left = model.engine->left().size();
  ASSERT_GT(left, 0U);
  model.engine->stop();
  for (int i = 0; i < 5; ++i) model.tick_in_peace();
  EXPECT_TRUE(model.engine->all_given_back());
  EXPECT_EQ(model.engine->given_back(), left);
}

// ---- the input of a tick

TEST(EngineTicks, WhatWasLearnedIsHandedOverOnceAndEachTickIsReported) {
  EngineModel model;
  std::vector<NamedProfile> learned(1);
  learned[0].task = "a";
  Engine engine(model.host,
                Engine::Parts{*actuate::Lease::open(model.files, "/run/other", ModelHost::kBoot),
                              *record::HoldStore::open(model.files, "/run/other", ModelHost::kBoot),
                              EngineModel::config(0), learned});
  std::vector<std::size_t> profiles;
  engine.on_tick = [&](const Input& input, const Plan&) { profiles.push_back(input.profiles.size()); };
  for (int i = 0; i < 2; ++i) {
    engine.look(model.host.now);
    engine.full_tick({model.host.now, {}, {8, Bytes{16} << 30}});
    engine.event_tick({model.host.now, {}, {8, Bytes{16} << 30}}, {});
  }
  EXPECT_EQ(profiles, (std::vector<std::size_t>{1, 0, 0, 0}));
  EXPECT_EQ(engine.take_reports().size(), 4U);
  EXPECT_TRUE(engine.take_reports().empty());
}

}  // namespace
}  // namespace sluice::testing
