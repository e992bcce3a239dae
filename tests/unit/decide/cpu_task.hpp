// A task as input of the CPU controller. The test sets what each sample shows; the value wanted is written
// only when the test does so.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "daemon/decide/cpu.hpp"

namespace sluice::testing {

using namespace std::chrono_literals;

class CpuTask {
 public:
  explicit CpuTask(double quota = 0.5) {
    in.now = MonotonicTime{1000s};
    in.quota_cores = quota;
    in.max_cores = 4;
    in.min_cores = 0.05;
    in.node_cores = 8;
    seen.interval_seconds = 0.1;
    seen.periods = 1;
    seen.throttled_periods = 0;
  }
  CpuTask(const CpuTask&) = delete;
  CpuTask& operator=(const CpuTask&) = delete;

  CpuInput in;
  CpuState state;
  Signals seen;  // of the next sample; the test may change it
  FlowEstimate flow;

  // A full tick: the usage since the last one, and whether the limit throttled.
  void look(double usage_cores, bool throttled = false, Nsec after = 100ms) {
    seen.usage_cores = usage_cores;
    seen.interval_seconds = std::chrono::duration<double>(after).count();
    seen.periods = static_cast<std::uint64_t>(std::llround(seen.interval_seconds / in.period_seconds));
    seen.throttled_periods = throttled ? *seen.periods : 0;
    in.now += after;
    in.signals = &seen;
    observe();
  }
  void look_for(Nsec time, double usage_cores, bool throttled = false) {
    for (Nsec t{}; t < time; t += 100ms) look(usage_cores, throttled);
  }
  // An event tick between two full ones.
  void event(Nsec after = 1ms) {
    in.now += after;
    in.signals = nullptr;
    observe();
  }
  // A load report of the task, for the next tick.
  void report(const LoadReport& load) {
    load_ = load;
    in.new_load = &load_;
    in.load_valid = true;
  }
  void report_backlog(double cpu_seconds) {
    LoadReport load;
    load.backlog_cpu_seconds = cpu_seconds;
    report(load);
  }
  // Unread bytes of sockets, from the next sample on; the cost of a byte is known.
  void sockets(double unread_mib, double arrival_mib_per_second, double cpu_seconds_per_mib = 1) {
    constexpr double kMiB = 1 << 20;
    flow.cpu_seconds_per_mib = cpu_seconds_per_mib;
    in.flow = &flow;
    seen.backlog_bytes = unread_mib * kMiB;
    seen.arrival_bytes_per_second = arrival_mib_per_second * kMiB;
  }
  // Adds backlog as if it had been reported at that age.
  void waits(double cpu_seconds, Nsec age = 0ms) {
    state.backlog_known = true;
    state.backlog_at = in.now;
    state.backlog_cpu_seconds += cpu_seconds;
    state.waiting.push_back({in.now - age, cpu_seconds});
  }
  // The limit has been throttling for this time.
  void bound_for(Nsec time) { state.oldest_wait_since = state.throttled_since = in.now - time; }

  Intent wants() const { return decide_cpu(in, state); }
  void write(double quota, Rule rule) {
    cpu_written(in, in.quota_cores, quota, rule, state);
    in.quota_cores = quota;
  }
  // Writes the value wanted, if there is one.
  bool obey() {
    const Intent intent = wants();
    if (intent.changes()) write(std::min(intent.value, in.max_cores), intent.reason.rule);
    return intent.changes();
  }

 private:
  void observe() {
    observe_cpu(in, state);
    in.new_load = nullptr;
    in.throttled_at.reset();
    in.idle_until.reset();
    in.runnable_threads.reset();
  }

  LoadReport load_;
};

}  // namespace sluice::testing
