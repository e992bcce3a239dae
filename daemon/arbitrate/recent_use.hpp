// The CPU that a task used in about the last second: the evidence by which the node is shared. Kept for every
// task, whether its limit is ours or not. Pure; values only.
//
// A limit is no reservation: what counts is usage with some head-room. A task that its limit throttles may
// want all of it. After two seconds without a sample there is no evidence.
#pragma once

#include <optional>

#include "cgroups/types.hpp"

namespace sluice {

struct Signals;

inline constexpr Nsec kEvidenceFor = std::chrono::seconds(2);

struct RecentUse {
  MonotonicTime at{};            // of the last pair of samples with usage; zero: never
  double mean_cores = 0;         // over about a second; rises faster than it falls
  MonotonicTime throttled_at{};  // when its limit last throttled it
};

// Call once per pair of samples.
void observe_use(const Signals& signals, MonotonicTime now, RecentUse& use);

// The cores that count as used. None: no evidence.
enum class Room : std::uint8_t { none, guessed };
std::optional<double> used_cores(const RecentUse& use, double limit_cores, MonotonicTime now, Room room);

}  // namespace sluice
