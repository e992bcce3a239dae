// A write that failed because the daemon lacked something does not count against its task.
#include <gtest/gtest.h>

#include <cerrno>

#include "daemon/tick/tick.hpp"
#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

Bench short_of_cpu() {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  Bench b(config);
  b.add(1, cores(0.1));
  b.full();
  b.auto_receipts = false;
  return b;
}

// Ticks in which every order gets this result; returns the number of write_failed notices.
int answer_with(Bench& b, Receipt::Result result, int error, int ticks) {
  int notices = 0;
  for (int i = 0; i < ticks; ++i) {
    b.run_cpu(1, 100ms, 0.1, true, 1);
    const auto& out = b.full();
    for (const auto& n : out.report.notices) notices += n.kind == Notice::Kind::write_failed ? 1 : 0;
    if (const auto* w = write_to(out.plan, Knob::cpu_max)) {
      b.receipts.push_back(Bench::failed(*w, result, error, b.now));
      b.receipts.back().holds = cores(0.1);
    }
  }
  return notices;
}

TEST(OwnLack, OfDescriptorsOpensNoBreakerCostsNoBudgetAndIsReportedOnce) {
  for (const int error : {EMFILE, ENFILE}) {
    Bench b = short_of_cpu();
    EXPECT_EQ(answer_with(b, Receipt::Result::refused, error, 200), 1);
    EXPECT_EQ(b.task(1).breaker.state, BreakerState::closed);
    EXPECT_LE(b.task(1).cpu.writes.size(), 1U) << "but for the one that is under way";
    b.auto_receipts = true;
    b.run_cpu(1, 100ms, 0.1, true, 1);
    b.full();
    b.run_cpu(1, 100ms, 0.1, true, 1);
    b.full();
    EXPECT_GT(b.quota(), 0.1) << "as soon as there are some again";
  }
}

TEST(OwnLack, AKernelThatRefusesIsAnotherMatter) {
  Bench b = short_of_cpu();
  answer_with(b, Receipt::Result::refused, EBUSY, 10);
  EXPECT_EQ(b.task(1).breaker.state, BreakerState::open);
}

}  // namespace
}  // namespace sluice::testing
