// Writes that take too long: a signal ends those that it can end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "tests/unit/actuate/actuators.hpp"

namespace sluice::actuate {
namespace {

using testing::SizeIs;

TEST_F(ActuatorTest, ALateSuccessIsASuccess) {
  const auto w = writer([](const Order& o) {
    (void)test::block_until_signal();  // like memory.high: the limit is set, its reclaim ends early
    return test::written(o);
  });
  ActuatorOptions options = kHasty;
  options.grace = kForever;
  Actuator actuator(w, options);
  actuator.submit(order("/a", memory(8192)));
  const auto receipts = collect(actuator, 1);
  ASSERT_THAT(receipts, SizeIs(1));
  EXPECT_EQ(receipts[0].result, Result::written);
  EXPECT_TRUE(receipts[0].interrupted);
  EXPECT_FALSE(receipts[0].may_land);
  EXPECT_EQ(receipts[0].holds, memory(8192));
  EXPECT_EQ(actuator.overdue(), 0u);
}

TEST_F(ActuatorTest, ASignalEndsAWriteAtItsDeadline) {
  const auto w = writer([](const Order&) {
    Receipt receipt;
    receipt.result = Result::refused;
    receipt.error_number = test::block_until_signal();
    receipt.holds = memory(4096);
    return receipt;
  });
  ActuatorOptions options = kHasty;
  options.grace = kForever;
  Actuator actuator(w, options);
  actuator.submit(order("/a", memory(8192)));
  const auto receipts = collect(actuator, 1);
  ASSERT_THAT(receipts, SizeIs(1));
  EXPECT_EQ(receipts[0].result, Result::timed_out);
  EXPECT_EQ(receipts[0].error_number, EINTR);
  EXPECT_TRUE(receipts[0].interrupted);
  EXPECT_FALSE(receipts[0].may_land) << "it has returned";
  EXPECT_EQ(receipts[0].holds, memory(4096));
  EXPECT_EQ(actuator.overdue(), 0u);
}

// A read of a pipe is a system call that the kernel would restart by itself.
TEST_F(ActuatorTest, ASystemCallThatWasInterruptedIsNotBegunAgain) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const auto w = writer([&](const Order&) {
    Receipt receipt;
    char byte = 0;
    receipt.result = Result::refused;
    receipt.error_number = ::read(ends[0], &byte, 1) < 0 ? errno : 0;
    return receipt;
  });
  {
    ActuatorOptions options = kHasty;
    options.grace = kForever;
    Actuator actuator(w, options);
    actuator.submit(order("/a", memory(8192)));
    const auto receipts = collect(actuator, 1);
    EXPECT_THAT(receipts, SizeIs(1));
    for (const auto& receipt : receipts) {
      EXPECT_EQ(receipt.error_number, EINTR);
      EXPECT_FALSE(receipt.may_land) << "it has returned";
    }
    EXPECT_EQ(::write(ends[1], "x", 1), 1);  // ends the read in any case
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(ActuatorTest, OnlyWhatWasInterruptedIsSaidToBe) {
  const auto w = writer([](const Order& o) {
    if (o.write.value == memory(4096)) (void)test::block_until_signal();
    return test::written(o);
  });
  ActuatorOptions options{.memory_threads = 1, .memory_deadline = 2s, .grace = kForever};
  Actuator actuator(w, options);
  actuator.submit({order("/a", memory(4096)), order("/b", memory(8192))});
  const auto receipts = collect(actuator, 2);
  EXPECT_TRUE(receipts.at(0).interrupted);
  EXPECT_FALSE(receipts.at(1).interrupted) << "by the same thread";
}

TEST_F(ActuatorTest, AWriteThatWasGivenUpIsInterruptedAgainAndAgain) {
  Actuator* actuator = nullptr;
  const auto w = writer([&](const Order& o) {
    while (actuator->overdue() == 0) (void)test::block_until_signal();
    (void)test::block_until_signal();
    return test::written(o);
  });
  Actuator its(w, kHasty);
  actuator = &its;
  its.submit(order("/a", memory(4096)));
  const auto receipts = collect(its, 2);
  EXPECT_TRUE(receipts.at(0).may_land);
  EXPECT_EQ(receipts.at(1).result, Result::written);
}

TEST_F(ActuatorTest, SignalsReachItsThreadsEvenWhenTheLoopBlocksThem) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  {
    ActuatorOptions options = kHasty;
    options.grace = kForever;
    Actuator actuator(writer([](const Order& o) {
                        (void)test::block_until_signal();
                        return test::written(o);
                      }),
                      options);
    actuator.submit(order("/a", quota(5)));
    EXPECT_TRUE(collect(actuator, 1).at(0).interrupted);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace sluice::actuate
