#include "bpf/loader/fresh.hpp"

#include <algorithm>

namespace sluice::bpf {
namespace {

// Per-CPU times are 32-bit nanoseconds. Within half of that range a difference has a sign, which
// distinguishes a reading that was too early from one that wrapped.
constexpr std::uint64_t kLongestGapNs = 2'000'000'000;

// With weights in units of 4 µs, times x weight x 1024 CPUs fits into 64 bits.
constexpr unsigned kWeightShift = 12;

using Totals = std::array<std::uint64_t, SLUICE_PSI_STALLS>;

Totals totals_of(const sluice_record& record) {
  Totals totals{};
  totals[SLUICE_PSI_IO_SOME] = record.pressure[SLUICE_IO].some_ns;
  totals[SLUICE_PSI_IO_FULL] = record.pressure[SLUICE_IO].full_ns;
  totals[SLUICE_PSI_MEM_SOME] = record.pressure[SLUICE_MEMORY].some_ns;
  totals[SLUICE_PSI_MEM_FULL] = record.pressure[SLUICE_MEMORY].full_ns;
  totals[SLUICE_PSI_CPU_SOME] = record.pressure[SLUICE_CPU].some_ns;
  totals[SLUICE_PSI_CPU_FULL] = record.pressure[SLUICE_CPU].full_ns;
  return totals;
}

void put_totals(const Totals& totals, sluice_record& record) {
  record.pressure[SLUICE_IO] = {totals[SLUICE_PSI_IO_SOME], totals[SLUICE_PSI_IO_FULL]};
  record.pressure[SLUICE_MEMORY] = {totals[SLUICE_PSI_MEM_SOME], totals[SLUICE_PSI_MEM_FULL]};
  record.pressure[SLUICE_CPU] = {totals[SLUICE_PSI_CPU_SOME], totals[SLUICE_PSI_CPU_FULL]};
}

}  // namespace

CpuSplit split_runtime(std::uint64_t runtime_ns, CpuSplit ticks, CpuSplit shown) {
  std::uint64_t system_ns = runtime_ns;
  if (ticks.system_ns == 0) {
    system_ns = 0;
  } else if (ticks.user_ns != 0) {
    __extension__ using Wide = unsigned __int128;
    const auto scaled = static_cast<Wide>(ticks.system_ns) * runtime_ns / (ticks.system_ns + ticks.user_ns);
    system_ns = std::min(static_cast<std::uint64_t>(scaled), runtime_ns);
  }
  if (shown.user_ns + shown.system_ns >= runtime_ns) return shown;  // both values are lower bounds
  system_ns = std::max(system_ns, shown.system_ns);
  const std::uint64_t user_ns = std::max(runtime_ns - system_ns, shown.user_ns);
  return {user_ns, runtime_ns - user_ns};
}

void Freshener::restart(Known& known, std::span<const sluice_psi_cpu> cpus) {
  known.per_cpu_ns.resize(cpus.size());
  for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu)
    std::copy_n(cpus[cpu].ns, SLUICE_PSI_STATES, known.per_cpu_ns[cpu].begin());
}

void Freshener::fold(Known& known, std::span<const sluice_psi_cpu> cpus) {
  Totals weighted{};
  std::uint64_t weights = 0;
  for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu) {
    auto& before = known.per_cpu_ns[cpu];
    if (std::equal(before.begin(), before.end(), cpus[cpu].ns)) continue;
    std::array<std::uint32_t, SLUICE_PSI_STATES> grown{};
    for (std::size_t state = 0; state < SLUICE_PSI_STATES; ++state) {
      const std::uint32_t difference = cpus[cpu].ns[state] - before[state];
      // the last reading was too far ahead; wait until it is reached
      if (static_cast<std::int32_t>(difference) <= 0) continue;
      grown[state] = difference;
      before[state] = cpus[cpu].ns[state];
    }
    const std::uint64_t weight = grown[SLUICE_PSI_NONIDLE] >> kWeightShift;
    weights += weight;
    for (std::size_t state = 0; state < SLUICE_PSI_STALLS; ++state) weighted[state] += grown[state] * weight;
  }
  if (weights == 0) return;
  for (std::size_t state = 0; state < SLUICE_PSI_STALLS; ++state)
    known.totals_ns[state] += weighted[state] / weights;
}

Freshener::Known& Freshener::known_of(std::uint64_t cgroup_id) {
  if (at_ == order_.size()) order_.push_back(nullptr);
  Known*& known = order_[at_++];
  if (known == nullptr || known->cgroup_id != cgroup_id) {
    known = &known_[cgroup_id];
    known->cgroup_id = cgroup_id;
  }
  met_ += known->walk != walk_;
  known->walk = walk_;
  return *known;
}

void Freshener::finish(sluice_record& record, const sluice_walk_tail& tail,
                       std::span<const sluice_psi_cpu> cpus) {
  if (!(record.valid & (SLUICE_HAS_USAGE | SLUICE_HAS_CPU_PRESSURE))) return;
  Known& known = known_of(record.cgroup_id);

  if (record.valid & SLUICE_HAS_USAGE) {
    // Lower bounds: at first the values of cpu.stat, later those reported here. They are never mixed, or they
    // would exceed the sum.
    const bool seen = known.user_ns + known.system_ns > 0;
    const CpuSplit shown =
        seen ? CpuSplit{known.user_ns, known.system_ns} : CpuSplit{tail.shown_user_ns, tail.shown_system_ns};
    const CpuSplit split = split_runtime(record.usage_ns, {record.user_ns, record.system_ns}, shown);
    record.user_ns = known.user_ns = split.user_ns;
    record.system_ns = known.system_ns = split.system_ns;
  }

  if (record.valid & SLUICE_HAS_CPU_PRESSURE) {
    // All CPUs or none: a fold over some of them would give wrong weights, now and later.
    const bool consistent =
        std::ranges::all_of(cpus, [](const sluice_psi_cpu& cpu) { return cpu.consistent != 0; });
    const bool continues =
        known.per_cpu_ns.size() == cpus.size() && record.at_ktime_ns - known.pressure_at_ns <= kLongestGapNs;
    if (!continues) {  // first sight, or a gap in which the times may have wrapped: the kernel's own totals
                       // carry on
      const Totals kernel = totals_of(record);
      for (std::size_t state = 0; state < SLUICE_PSI_STALLS; ++state)
        known.totals_ns[state] = std::max(known.totals_ns[state], kernel[state]);
    }
    if (consistent) {
      if (continues)
        fold(known, cpus);
      else
        restart(known, cpus);
      known.pressure_at_ns = record.at_ktime_ns;
    } else if (!continues) {
      known.per_cpu_ns.clear();
    }
    put_totals(known.totals_ns, record);
  }
}

void Freshener::end_walk() {
  if (met_ != known_.size()) {
    std::erase_if(known_, [this](const auto& entry) { return entry.second.walk != walk_; });
    order_.clear();
  }
  at_ = met_ = 0;
  ++walk_;
}

}  // namespace sluice::bpf
