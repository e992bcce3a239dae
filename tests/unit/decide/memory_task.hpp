// A task as input of the memory controller: 1000 MiB in use, of which 790 can be reclaimed, quiet unless the
// test sets otherwise. The value wanted is written only when the test does so.
#pragma once

#include <gtest/gtest.h>

#include "daemon/decide/memory.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::testing {

using namespace std::chrono_literals;

constexpr double kMiB = 1 << 20;
constexpr double kPagesOfMiB = 256;

class MemoryTask {
 public:
  explicit MemoryTask(double high_mib = kUnlimited) {
    in.now = MonotonicTime{1000s};
    in.high_bytes = high_mib * kMiB;
    in.max_bytes = 4000 * kMiB;
    uses(1000);
    seen.memory_pressure_ratio = seen.memory_full_pressure_ratio = 0;
    seen.refaults_per_second = seen.pgscan_per_second = seen.pgsteal_per_second = 0;
    seen.memory_growth_bytes_per_second = seen.anon_growth_bytes_per_second = 0;
    in.signals = &seen;
    in.sample = &sample;
  }
  MemoryTask(const MemoryTask&) = delete;
  MemoryTask& operator=(const MemoryTask&) = delete;

  MemoryInput in;
  MemoryState state;
  Signals seen;  // of the next sample; the test may change it
  Sample sample;

  void uses(double mib, double anon_mib = 200) {
    const auto bytes = [](double of_mib) { return static_cast<Bytes>(of_mib * kMiB); };
    sample.memory_current = bytes(mib);
    sample.memory_stat =
        MemoryStat{.anon = bytes(anon_mib), .file = bytes(mib - anon_mib - 10), .unreclaimable = bytes(10)};
  }
  void look(Nsec after = 100ms) {
    seen.interval_seconds = std::chrono::duration<double>(after).count();
    in.now += after;
    observe_memory(in, state);
    in.write_blocked = false;
  }
  void look_for(Nsec time) {
    for (Nsec t{}; t < time; t += 100ms) look();
  }
  // Tasks stall for this share of the time.
  void stall_for(Nsec time, double share) {
    seen.memory_pressure_ratio = share;
    look_for(time);
    seen.memory_pressure_ratio = 0;
  }
  void refault_for(Nsec time, double mib_per_second) {
    seen.refaults_per_second = mib_per_second * kPagesOfMiB;
    look_for(time);
    seen.refaults_per_second = 0;
  }
  void grow_for(Nsec time, double mib_per_second) {
    seen.memory_growth_bytes_per_second = mib_per_second * kMiB;
    look_for(time);
    seen.memory_growth_bytes_per_second = 0;
  }

  Intent wants() const { return decide_memory(in, state); }
  Rule rule() const { return wants().reason.rule; }
  // In MiB; zero: nothing is wanted.
  double wanted() const { return wants().changes() ? wants().value / kMiB : 0; }
  void write(double high_mib, Rule rule) {
    memory_written(in, in.high_bytes, high_mib * kMiB, rule, state);
    in.high_bytes = high_mib * kMiB;
  }
  // The limit, slightly above the memory in use, goes below it and evicts the difference.
  void probe(double high_mib) {
    in.high_bytes = 1.03 * static_cast<double>(*sample.memory_current);
    write(high_mib, Rule::memory_probe);
    uses(high_mib);
  }
  // The time until it is probed, up to `most`.
  Nsec until_probed(Nsec most = 2h) {
    for (Nsec t{}; t < most; t += 100ms) {
      if (rule() == Rule::memory_probe) return t;
      look();
    }
    return most;
  }
};

}  // namespace sluice::testing
