#include "daemon/sample/counters_sampler.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace sluice::sample {
namespace {

static_assert(RunQueueWait::kBuckets == SLUICE_WAIT_BUCKETS);

Usec usec(std::uint64_t nsec) {
  return std::chrono::duration_cast<Usec>(Nsec{static_cast<std::int64_t>(nsec)});
}

// A completely filled array has no terminator.
template <std::size_t size>
std::string_view text(const char (&array)[size]) {
  return {array, strnlen(array, size)};
}

}  // namespace

std::optional<MonotonicTime> idle_until(const sluice_idle& idle, const Sample& s) {
  constexpr auto kLongEnough = Nsec{SLUICE_IDLE_MIN_NS};
  const bool nothing_ran = idle.since_ns != 0 && since_boot_nsec(idle.since_ns) + kLongEnough <= s.read_at;
  // A thread that woke up but waits for a CPU has not ended the stretch in the programs, but is runnable.
  if (nothing_ran && s.runnable_threads == 0u) return s.read_at;
  if (idle.until_ns == 0) return std::nullopt;
  return std::min(since_boot_nsec(idle.until_ns), s.read_at);  // it may have woken after the walk
}

void add_counters(const sluice_counters& c, Sample& s) {
  const auto has = [&](unsigned group) { return (c.valid & group) == group; };
  if (has(SLUICE_COUNTS_THROTTLE))
    s.throttle = ThrottleTotals{c.throttle.count, usec(c.throttle.stopped_ns), c.throttle.stopped_tasks};
  if (has(SLUICE_COUNTS_RUN_QUEUE)) {
    s.run_queue.emplace();
    s.run_queue->total = usec(c.run_queue.total_ns);
    std::copy_n(c.run_queue.log2_usec, SLUICE_WAIT_BUCKETS, s.run_queue->log2_usec.begin());
  }
  if (has(SLUICE_COUNTS_IDLE)) s.idle_until = idle_until(c.idle, s);
  // Without the second value, the first would count stalls that the limit did not cause.
  if (has(SLUICE_COUNTS_MEMORY_STALL | SLUICE_COUNTS_HIGH))
    s.memory_stall = MemoryStallTotals{usec(c.memory.stalled_ns), usec(c.memory.high_throttled_ns)};
  if (has(SLUICE_COUNTS_FLOW)) {
    s.flow = SocketFlow{.sockets = static_cast<std::uint32_t>(c.flow.sockets),
                        .received = c.flow.received_bytes,
                        .sent = c.flow.sent_bytes,
                        .unread = c.flow.unread_bytes,
                        .unsent = c.flow.unsent_bytes,
                        .zero_window = usec(c.flow.zero_window_ns),
                        .at = since_boot_nsec(c.flow.at_ktime_ns)};
  }
}

Knob knob_of(const sluice_write_event& event) {
  switch (event.knob) {
    case SLUICE_KNOB_MEMORY_HIGH:
      return Knob::memory_high;
    case SLUICE_KNOB_CPU_WEIGHT:
      return Knob::cpu_weight;
    default:
      return Knob::cpu_max;
  }
}

Writer writer_of(const sluice_write_event& event) {
  Writer writer{.pid = event.pid, .uid = event.uid, .command = std::string(text(event.comm)), .cgroup = {}};
  for (const auto& level : event.cgroup) {  // from the writer's own cgroup upwards
    const std::string_view name = text(level);
    if (name.empty() || name == "/") break;  // the root
    writer.cgroup = std::string(name) + (writer.cgroup.empty() ? "" : "/") + writer.cgroup;
  }
  return writer;
}

}  // namespace sluice::sample
