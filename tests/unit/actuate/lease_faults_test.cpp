// The lease when every step fails in turn, and when the process is killed at any step: nothing is lost, and
// nothing counts that is not completely on file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "tests/support/fake_files.hpp"
#include "tests/unit/actuate/leases.hpp"

namespace sluice::actuate {
namespace {

using namespace test;
using Entries = std::vector<LeaseEntry>;

Entries on_file(const FakeFiles& files) {
  return parse_lease(files.content("run/lease").value_or(""), kBoot).entries;
}

// The steps of a short lease: it begins with entries of an earlier process, compacts, adds, changes and
// removes.
const std::vector<std::vector<LeaseChange>>& life() {
  static const std::vector<std::vector<LeaseChange>> kLife{
      {put(cpu(1)), put(memory(1))},
      {put(cpu(1, "/a", {quota(70'000), quota(80'000)}))},
      {},
      {drop(memory(1)), put(cpu(2, "/b")), put(memory(2, "/b"))},
      {put(cpu(1, "/a", {quota(80'000)})), drop(cpu(9))},
      {drop(cpu(2)), drop(memory(2))},
  };
  return kLife;
}
const Entries& inherited() {
  static const Entries kInherited{memory(8), cpu(9)};
  return kInherited;
}
std::string first_file() {
  return format_lease(inherited(), kBoot) + format_lease_change(put(cpu(7)), kBoot) +
         format_lease_change(drop(cpu(7)), kBoot) + "lease2 torn";
}

// Records the orders that are covered, as the engine sends them. What the kernel may hold must be in the
// entry that a later process finds.
using Sent = std::map<LeaseKey, std::vector<KnobValue>>;
void send_covered(const Lease& lease, const std::vector<LeaseChange>& changes, Sent& sent) {
  for (const auto& change : changes) {
    if (!change.entry) continue;
    for (const auto& value : change.entry->ours) {
      if (lease.covers(change.key, value)) sent[change.key].push_back(value);
    }
  }
}
void forget_replaced(const std::vector<LeaseChange>& changes, Sent& sent) {
  for (const auto& change : changes) {
    if (!change.entry) {  // the tick read the baseline there
      sent.erase(change.key);
      continue;
    }
    std::erase_if(sent[change.key], [&](const KnobValue& value) {  // it read another value of ours there
      const auto& ours = change.entry->ours;
      return std::find(ours.begin(), ours.end(), value) == ours.end();
    });
  }
}
::testing::AssertionResult known(const Sent& sent, const Entries& found) {
  for (const auto& [key, values] : sent) {
    const auto entry = std::find_if(found.begin(), found.end(),
                                    [&, wanted = key](const auto& e) { return key_of(e) == wanted; });
    for (const auto& value : values) {
      if (entry == found.end() ||
          std::find(entry->ours.begin(), entry->ours.end(), value) == entry->ours.end())
        return ::testing::AssertionFailure()
               << "a value of " << key.id.value << " is in force and not on file";
    }
  }
  return ::testing::AssertionSuccess();
}

// Runs the steps with one failing; false: that step was never reached.
bool live_with_failure(std::size_t step, int error, std::size_t taken, bool cannot_cut) {
  SCOPED_TRACE("step " + std::to_string(step) + " fails after " + std::to_string(taken) + " bytes");
  FakeFiles files;
  files.put("run/lease", first_file());
  files.fail_step(step, error, taken);
  if (cannot_cut) files.fail_every(FakeFiles::Step::truncate, EROFS);
  auto opened = Lease::open(files, "run", kBoot);
  if (!opened) {
    EXPECT_EQ(opened.error().errno_value, error);
    EXPECT_EQ(on_file(files), inherited()) << "what cannot be read is left alone";
    return true;
  }
  auto& lease = *opened;
  EXPECT_EQ(lease.entries(), inherited());
  std::map<LeaseKey, LeaseEntry> wanted;
  for (const auto& entry : inherited()) wanted.emplace(key_of(entry), entry);
  Sent sent;
  std::size_t failures = 0;
  for (const auto& changes : life()) {
    for (const auto& change : changes) {
      wanted.erase(change.key);
      if (change.entry) wanted.emplace(change.key, *change.entry);
    }
    forget_replaced(changes, sent);
    const auto before = lease.entries();
    const auto applied = lease.apply(changes);
    send_covered(lease, changes, sent);
    EXPECT_TRUE(known(sent, on_file(files)));
    if (applied) {
      Entries all;
      for (const auto& [key, entry] : wanted) all.push_back(entry);
      EXPECT_EQ(lease.entries(), all) << "with what an earlier call could not write";
      EXPECT_EQ(on_file(files), all);
    } else {
      ++failures;
      EXPECT_EQ(applied.error().errno_value,
                cannot_cut && applied.error().what == "truncate" ? EROFS : error);
      EXPECT_EQ(lease.entries(), before);
      if (cannot_cut) files.fail_every(FakeFiles::Step::truncate, 0);
    }
  }
  EXPECT_LE(failures, cannot_cut ? 2u : 1u);
  return !files.fault_is_pending();
}

TEST(LeaseFaults, EveryStepFailsInTurnAndNothingIsLost) {
  for (const int error : {ENOSPC, EIO, EROFS, EMFILE}) {
    for (const std::size_t taken : {0, 1, 100, 150}) {
      for (const bool cannot_cut : {false, true}) {
        std::size_t step = 1;
        while (live_with_failure(step, error, taken, cannot_cut)) ++step;
        EXPECT_GT(step, 10u);
      }
    }
  }
}

TEST(LeaseFaults, TheProcessIsKilledAtEveryStepAndTheNextOneKnows) {
  for (const std::size_t taken : {0, 1, 100, 101, 150, 1000}) {
    for (std::size_t step = 1;; ++step) {
      SCOPED_TRACE("killed at step " + std::to_string(step) + " after " + std::to_string(taken) + " bytes");
      FakeFiles files;
      files.put("run/lease", first_file());
      files.die_at_step(step, taken);
      Sent sent;
      {
        auto lease = Lease::open(files, "run", kBoot);
        for (const auto& changes : life()) {
          if (!lease || !files.fault_is_pending()) break;
          forget_replaced(changes, sent);
          if (lease->apply(changes)) send_covered(*lease, changes, sent);
        }
      }
      const bool over = files.fault_is_pending();
      files.crash_process();
      EXPECT_TRUE(known(sent, on_file(files)));
      auto next = Lease::open(files, "run", kBoot);
      ASSERT_TRUE(next);
      EXPECT_TRUE(known(sent, next->entries()));
      EXPECT_TRUE(next->notices().empty()) << next->notices()[0];
      ASSERT_TRUE(next->apply(std::vector{put(cpu(5))}));
      EXPECT_EQ(on_file(files), next->entries());
      if (over) break;
    }
  }
}

RC_GTEST_PROP(LeaseFaults, WhatIsCoveredIsOnFileWhateverHappens, ()) {
  FakeFiles files;
  auto lease = std::make_unique<Lease>(Lease::open(files, "run", kBoot).value());
  std::map<LeaseKey, std::optional<LeaseEntry>> unwritten;
  for (auto n = *rc::gen::inRange(0, 30); n > 0; --n) {
    std::vector<LeaseChange> changes;
    for (auto k = *rc::gen::inRange(0, 4); k > 0; --k) {
      const auto entry = *any_entry(rc::gen::inRange<std::uint64_t>(0, 3));
      changes.push_back(*rc::gen::arbitrary<bool>() ? put(entry) : drop(entry));
      unwritten[changes.back().key] = changes.back().entry;
    }
    const auto trouble = *rc::gen::inRange(0, 8);
    const auto at = *rc::gen::inRange<std::size_t>(1, 5), taken = *rc::gen::inRange<std::size_t>(0, 300);
    if (trouble < 3) files.fail_step(at, EIO, taken);
    if (trouble == 3) files.limit_space(taken);
    if (trouble == 4) files.fail_every(FakeFiles::Step::truncate, EIO);
    if (trouble == 5) files.die_at_step(at, taken);

    const auto before = lease->entries();
    const auto applied = lease->apply(changes);
    const auto found = on_file(files);
    if (applied) {
      RC_ASSERT(found == lease->entries());
      for (const auto& [key, entry] : unwritten) {
        const auto there = std::find_if(found.begin(), found.end(),
                                        [&, wanted = key](const auto& e) { return key_of(e) == wanted; });
        RC_ASSERT((there != found.end()) == entry.has_value());
        if (entry) RC_ASSERT(*there == *entry);
      }
      unwritten.clear();
    } else {
      RC_ASSERT(lease->entries() == before);
    }
    // Each entry that was on file is still there, or its newest change is.
    for (const auto& entry : before) {
      const auto there =
          std::find_if(found.begin(), found.end(), [&](const auto& e) { return key_of(e) == key_of(entry); });
      if (there != found.end() && *there == entry) continue;
      if (applied || trouble == 5) continue;  // the process was killed
      RC_ASSERT(lease->covers(key_of(entry), entry.ours[0]) == false);
      RC_ASSERT(unwritten.contains(key_of(entry)));
    }
    for (const auto& entry : found) {
      for (const auto& value : entry.ours) {
        const auto known = lease->covers(key_of(entry), value);
        RC_ASSERT(!applied || known);
      }
    }
    if (*rc::gen::inRange(0, 2) == 0) files.clear_faults();
    if (trouble == 5 || *rc::gen::inRange(0, 6) == 0) {
      files.clear_faults();
      files.crash_process();
      lease = std::make_unique<Lease>(Lease::open(files, "run", kBoot).value());
      RC_ASSERT(lease->entries() == found);
      RC_ASSERT(lease->notices().empty());
      unwritten.clear();
    }
  }
  lease.reset();
  RC_ASSERT(files.open_handles() == 0u);
  RC_ASSERT(files.bad_closes() == 0u);
}

}  // namespace
}  // namespace sluice::actuate
