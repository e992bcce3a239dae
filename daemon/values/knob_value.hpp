// Converts between a knob's value and the number that policy uses: cores, bytes, or a weight; infinity:
// "max".
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
  if (const auto* cpu = std::get_if<CpuMax>(&v)) return cores_of(*cpu);
  if (const auto* weight = std::get_if<CpuWeight>(&v)) return weight->weight;
  return bytes_of(std::get<MemoryLimit>(v));
}

// The task's own period is kept, because it may have been chosen with care. If so small a quota cannot be
// written with it, the shortest sufficient multiple is used, up to 100 ms.
inline Usec period_for(double cores, Usec own) {
  constexpr Usec kLongest{100'000};
  const double whole = static_cast<double>(kCpuQuotaMin.count()) / std::max(cores, 1e-9);
  const double times = std::ceil(whole / static_cast<double>(own.count()) - 1e-9);
  if (times <= 1) return own;
  const double most = std::max(1.0, std::floor(static_cast<double>(kLongest / own)));
  return own * static_cast<std::int64_t>(std::min(times, most));
}
inline CpuMax cpu_max_of(double cores, Usec own_period) {
  if (std::isinf(cores)) return {std::nullopt, own_period};
  const Usec period = period_for(cores, own_period);
  const auto quota =
      Usec{static_cast<std::int64_t>(std::llround(cores * static_cast<double>(period.count())))};
  return {std::max(quota, kCpuQuotaMin), period};
}
// Sets the burst that goes with a quota: `ratio` of it, or without a ratio the task's own, up to the quota.
// None if the kernel has no burst.
inline CpuMax with_burst(CpuMax v, const CpuMax& baseline, std::optional<double> ratio) {
  v.burst = baseline.burst;
  if (!v.burst || !v.quota) return v;
  v.burst = ratio ? Usec{static_cast<std::int64_t>(*ratio * static_cast<double>(v.quota->count()))}
                  : std::min(*v.burst, *v.quota);
  return v;
}
// The kernel rounds down to pages. With a whole number of pages the read-back equals the order.
inline MemoryLimit memory_limit_of(double bytes, Bytes page_bytes) {
  if (std::isinf(bytes)) return {};
  const auto page = static_cast<double>(page_bytes);
  return {static_cast<Bytes>(std::ceil(bytes / page) * page)};
}

}  // namespace sluice
