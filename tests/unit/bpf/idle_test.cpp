#include "bpf/loader/idle.hpp"

#include <gtest/gtest.h>

namespace sluice::bpf {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kGoverned = 5'000 * kMs;
constexpr std::uint64_t kKnown = kGoverned + SLUICE_IDLE_GRACE_NS;

std::uint64_t awake(std::uint64_t epoch, std::uint64_t threads) {
  return epoch << 32 | threads;
}

// Idle from 100 to 150 ms, and before that until 20 ms, relative to the time at which idle times become
// known.
sluice_idle_slot slot(std::uint64_t threads) {
  sluice_idle_slot slot = {};
  slot.awake = awake(1, threads);
  slot.counted_since_ns = kGoverned;
  slot.asleep_since_ns = slot.began_ns = kKnown + 100 * kMs;
  slot.until_ns = kKnown + 150 * kMs;
  slot.before_until_ns = kKnown + 20 * kMs;
  return slot;
}

TEST(Idle, ANewSlotKnowsNothingAndVoidsWhoWasCounted) {
  sluice_idle_slot used = slot(3);
  restart_idle(used, 9'000 * kMs);
  EXPECT_EQ(used.awake, awake(2, 0));
  EXPECT_EQ(used.counted_since_ns, 9'000 * kMs);
  EXPECT_EQ(idle_of(used).until_ns, 0u);
  EXPECT_EQ(idle_of(used).since_ns, 0u);
  EXPECT_EQ(idle_until(used, 20'000 * kMs), 0u);
}

TEST(Idle, EpochZeroMeansAsleepAndIsNoSlots) {
  sluice_idle_slot last = slot(3);
  last.awake = awake(UINT32_MAX, 3);
  restart_idle(last, kGoverned);
  EXPECT_EQ(last.awake, awake(1, 0));
}

TEST(Idle, SinceIsToldWhileNoThreadRuns) {
  sluice_idle_slot now = slot(1);
  EXPECT_EQ(idle_of(now).until_ns, kKnown + 150 * kMs);
  EXPECT_EQ(idle_of(now).since_ns, 0u);
  now.awake = awake(1, 0);
  now.asleep_since_ns = kKnown + 200 * kMs;
  EXPECT_EQ(idle_of(now).since_ns, kKnown + 200 * kMs);
}

TEST(Idle, AStretchThatBeganBeforeAllWereCountedIsNotTold) {
  sluice_idle_slot now = slot(0);
  now.asleep_since_ns = kKnown - 1;
  EXPECT_EQ(idle_of(now).since_ns, 0u);
  EXPECT_EQ(idle_until(now, kKnown + 300 * kMs), kKnown + 150 * kMs);
}

TEST(Idle, WhoWakesIntoASpentQuotaEndsTheStretchThen) {
  sluice_idle_slot now = slot(0);
  now.asleep_since_ns = kKnown + 200 * kMs;
  EXPECT_EQ(idle_until(now, kKnown + 240 * kMs), kKnown + 240 * kMs);
  EXPECT_EQ(idle_until(now, kKnown + 202 * kMs), kKnown + 202 * kMs);
}

TEST(Idle, AnEventJustBeforeOrAfterTheyFellAsleepIsNotAWake) {
  sluice_idle_slot now = slot(0);
  now.asleep_since_ns = kKnown + 200 * kMs;
  EXPECT_EQ(idle_until(now, kKnown + 199 * kMs), kKnown + 150 * kMs);
  EXPECT_EQ(idle_until(now, kKnown + 201 * kMs), kKnown + 150 * kMs) << "too short a stretch";
}

TEST(Idle, AwakeThreadsAreThoseOfTheSlotsOwnEpoch) {
  EXPECT_EQ(awake_threads(slot(3)), 3u);
  sluice_idle_slot used = slot(3);
  restart_idle(used, kGoverned);
  EXPECT_EQ(awake_threads(used), 0u);
}

TEST(Idle, AnEventThatIsReadLateIsToldWhatWasSoAtItsTime) {
  const sluice_idle_slot now = slot(2);  // they ran at 150 ms
  EXPECT_EQ(idle_until(now, kKnown + 160 * kMs), kKnown + 150 * kMs);
  EXPECT_EQ(idle_until(now, kKnown + 149 * kMs), kKnown + 149 * kMs) << "in the stretch";
  EXPECT_EQ(idle_until(now, kKnown + 101 * kMs), kKnown + 20 * kMs) << "it was not long enough yet";
  EXPECT_EQ(idle_until(now, kKnown + 90 * kMs), kKnown + 20 * kMs) << "before it";
  EXPECT_EQ(idle_until(now, kKnown + 10 * kMs), kKnown + 10 * kMs) << "never from the future";
}

}  // namespace
}  // namespace sluice::bpf
