// What a task will need soon: what it needed at this time of earlier seasons, times how today compares to
// them. Learned from the work that was done, which a quota delays but does not lessen; a time in which it was
// not governed, was starved, or of which samples are missing is not learned, nor is one in which the clock
// was set. Pure.
#pragma once

#include <optional>

#include "cgroups/types.hpp"
#include "daemon/decide/season.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice {

// Of the season under way; not kept.
struct SeasonWatch {
  bool begun = false;
  MonotonicTime at{};  // of the last look
  std::chrono::seconds wall{};
  Usec usage{};
  // The bucket under way: what was seen of it.
  std::size_t bucket = 0;
  double covered_seconds = 0, work_seconds = 0, squares = 0;
  // The buckets of late, fading: what they were, and what the profile said.
  double actual = 0, expected = 0;
};

struct SeasonLook {
  MonotonicTime at{};  // of the sample
  WallClock wall;
  Usec usage{};          // CPU time used since the cgroup was made
  bool credible = true;  // the use since the last look is what the task needed
};

struct Forecaster {
  SeasonProfile profile;
  SeasonWatch watch;
  Forecast latest;
  std::optional<std::chrono::seconds> looked_at;  // the wall clock's second
};

std::size_t bucket_count(std::chrono::seconds season);  // at most 288, of 10 s or more
SeasonProfile empty_profile(std::chrono::seconds season);
// Whether a profile from outside can be one.
bool plausible(const SeasonProfile& profile);

// About once a second, and again when the task's cgroup is another: then with a new watch.
void observe_season(const SeasonLook& look, SeasonProfile& profile, SeasonWatch& watch);

// From now until `ahead` later; its mode is the caller's to say. `backlog_seen`: the work that waits is
// known, and not only that the limit binds.
Forecast forecast(const SeasonProfile& profile, const SeasonWatch& watch, const WallClock& wall,
                  std::chrono::seconds ahead, bool backlog_seen);

}  // namespace sluice
