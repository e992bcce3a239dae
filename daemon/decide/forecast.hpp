// What a task will need soon: what it needed at this time in earlier seasons, scaled by how recent demand
// compares with the same profile. It learns from the CPU time used: a quota delays work but does not reduce
// it. Not learned: intervals in which the task was not governed or was starved, in which samples are missing,
// or in which the clock was set. Pure.
#pragma once

#include <optional>

#include "cgroups/types.hpp"
#include "daemon/decide/season.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice {

// State of the current season; not persistent.
struct SeasonWatch {
  bool begun = false;
  MonotonicTime at{};  // of the last sample
  std::chrono::seconds wall{};
  Usec usage{};
  // What was observed of the current bucket.
  std::size_t bucket = 0;
  double covered_seconds = 0, work_seconds = 0, squares = 0;
  // Recent buckets with fading weight: the measured demand, and the profile's.
  double actual = 0, expected = 0;
};

struct SeasonLook {
  MonotonicTime at{};  // of the sample
  WallClock wall;
  Usec usage{};          // CPU time since the cgroup was created
  bool credible = true;  // the usage since the last sample was what the task needed
};

struct Forecaster {
  SeasonProfile profile;
  SeasonWatch watch;
  Forecast latest;
  std::optional<std::chrono::seconds> looked_at;  // wall-clock second of the last sample
};

std::size_t bucket_count(std::chrono::seconds season);  // at most 288, of 10 s or more
SeasonProfile empty_profile(std::chrono::seconds season);
// Whether a profile that was read from a file is valid.
bool plausible(const SeasonProfile& profile);

// Call about once a second. Call it with a new watch when the task's cgroup was replaced.
void observe_season(const SeasonLook& look, SeasonProfile& profile, SeasonWatch& watch);

// The forecast from now until `ahead` later. The caller sets its mode. `backlog_seen`: the backlog itself is
// known, not only that the limit throttles.
Forecast forecast(const SeasonProfile& profile, const SeasonWatch& watch, const WallClock& wall,
                  std::chrono::seconds ahead, bool backlog_seen);

}  // namespace sluice
