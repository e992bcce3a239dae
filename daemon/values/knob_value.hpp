// Between a knob's value and the number that policy works with: cores, or bytes; infinity = "max".
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "cgroups/types.hpp"

namespace sluice {

inline constexpr double kUnlimited = std::numeric_limits<double>::infinity();

inline double cores_of(const CpuMax& v) {
  return v.quota ? static_cast<double>(v.quota->count()) / static_cast<double>(v.period.count()) : kUnlimited;
}
inline double bytes_of(const MemoryLimit& v) {
  return v.bytes ? static_cast<double>(*v.bytes) : kUnlimited;
}
inline double number_of(const KnobValue& v) {
  return std::holds_alternative<CpuMax>(v) ? cores_of(std::get<CpuMax>(v))
                                           : bytes_of(std::get<MemoryLimit>(v));
}

// The period stays the task's own: it may have been chosen with care.
inline CpuMax cpu_max_of(double cores, Usec period) {
  if (std::isinf(cores)) return {std::nullopt, period};
  const auto quota =
      Usec{static_cast<std::int64_t>(std::llround(cores * static_cast<double>(period.count())))};
  return {std::max(quota, kCpuQuotaMin), period};
}
// The burst that goes with a quota: a share of it, or without one the task's own as far as the quota allows.
// None where the kernel has none.
inline CpuMax with_burst(CpuMax v, const CpuMax& baseline, std::optional<double> ratio) {
  v.burst = baseline.burst;
  if (!v.burst || !v.quota) return v;
  v.burst = ratio ? Usec{static_cast<std::int64_t>(*ratio * static_cast<double>(v.quota->count()))}
                  : std::min(*v.burst, *v.quota);
  return v;
}
// The kernel rounds down to pages; asking for a whole number of them makes the read-back equal.
inline MemoryLimit memory_limit_of(double bytes) {
  if (std::isinf(bytes)) return {};
  constexpr double kPageBytes = 4096;
  return {static_cast<Bytes>(std::ceil(bytes / kPageBytes) * kPageBytes)};
}

}  // namespace sluice
