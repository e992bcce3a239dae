// What a task has used of the CPU in about the last second: the evidence by which the node is shared out. It
// is kept for every task, whether its limit is ours to write or not. Pure; values only.
//
// A limit is no reservation: what counts is what is used, with some head-room. A task that its limit
// throttles may want all of it. What was seen two seconds ago is no evidence any more.
#pragma once

#include <optional>

#include "cgroups/types.hpp"

namespace sluice {

struct Signals;

inline constexpr Nsec kEvidenceFor = std::chrono::seconds(2);

struct RecentUse {
  MonotonicTime at{};            // of the last pair of samples that showed it; zero: never
  double mean_cores = 0;         // over about a second, sooner upwards
  MonotonicTime throttled_at{};  // the last time that its limit stopped it
};

// Once for each pair of samples.
void observe_use(const Signals& signals, MonotonicTime now, RecentUse& use);

// Cores. None: there is no evidence.
enum class Room : std::uint8_t { none, guessed };
std::optional<double> used_cores(const RecentUse& use, double limit_cores, MonotonicTime now, Room room);

}  // namespace sluice
