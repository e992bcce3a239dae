#include "tests/bench/memory/bed.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/values/knob_value.hpp"
#include "tests/bench/worst_minute.hpp"

namespace sluice::bench {
namespace {

constexpr Usec kTick{100'000};

simhost::TaskSpec task_spec(const MemoryTrace& trace, const std::string& cgroup) {
  simhost::TaskSpec spec;
  spec.cgroup = cgroup;
  spec.work.load = simhost::Load::constant(20);
  spec.work.cost_usec = 5'000;
  spec.memory = trace.spec;
  spec.restart_after = Usec(5'000'000);
  return spec;
}

}  // namespace

MemoryBed::MemoryBed(const MemoryTrace& trace, std::uint64_t seed, std::optional<Bytes> most)
    : host_({.cpus = 4, .memory = 1ULL << 40, .seed = seed, .step = Usec(10'000)}),
      id_(host_.add_task(task_spec(trace, cgroup_)).value()),
      seconds_(trace.seconds) {
  if (most) host_.set_memory_max(*host_.find(id_), {*most});
}

void MemoryBed::run(const std::function<void()>& each_period) {
  const auto end = Usec(static_cast<std::int64_t>(seconds_) * 1'000'000);
  const auto warm = Usec(static_cast<std::int64_t>(kMemoryWarmUpSeconds * 1e6));
  while (host_.now() < end) {
    host_.advance(kTick);
    if (host_.now() > warm) look();
    each_period();
    if (host_.now() == warm) {
      host_.reset_stats();
      written_at_.clear();
      budgeted_at_.clear();
      const Sample s = host_.sample(id_);
      before_ = *s.memory_pressure;
      kills_before_ = s.memory_events->oom_kill;
    }
  }
  finish();
}

void MemoryBed::look() {
  const Sample s = host_.sample(id_);
  stalled_.push_back(static_cast<double>((s.memory_pressure->some - before_.some).count()));
  stood_still_.push_back(static_cast<double>((s.memory_pressure->full - before_.full).count()));
  before_ = *s.memory_pressure;
  const auto current = static_cast<double>(*s.memory_current);
  const double limit = std::min(bytes_of(*s.memory_high), bytes_of(*s.memory_max));
  figures_.mean_bytes += current;
  figures_.limit_bytes += std::isinf(limit) ? current : limit;
  figures_.peak_bytes = std::max(figures_.peak_bytes, current);
  figures_.oom_kills = s.memory_events->oom_kill - kills_before_;
  looks_ += 1;
}

Receipt MemoryBed::write(const Write& write) {
  written_at_.push_back(now_s());
  if (write.reason.rule != Rule::released) budgeted_at_.push_back(now_s());
  return host_.apply(write);
}

void MemoryBed::write_high(double bytes) {
  const MemoryLimit limit = memory_limit_of(bytes, static_cast<Bytes>(simhost::kPage));
  if (limit == *host_.sample(id_).memory_high) return;
  written_at_.push_back(now_s());
  budgeted_at_.push_back(now_s());
  host_.set_memory_high(*host_.find(id_), limit);  // without memory.reclaim, as the peers do
}

void MemoryBed::reclaim(double bytes) {
  if (bytes < simhost::kPage) return;
  written_at_.push_back(now_s());
  budgeted_at_.push_back(now_s());
  host_.reclaim(*host_.find(id_), static_cast<Bytes>(bytes));
}

void MemoryBed::finish() {
  constexpr double kTickUsec = 1e5;
  constexpr std::size_t kTenSeconds = 100;
  figures_.mean_bytes /= looks_;
  figures_.limit_bytes /= looks_;
  double all = 0, window = 0;
  std::size_t still = 0;
  for (std::size_t i = 0; i < stalled_.size(); ++i) {
    all += stalled_[i];
    window += stalled_[i] - (i >= kTenSeconds ? stalled_[i - kTenSeconds] : 0);
    figures_.stall_worst_10s = std::max(figures_.stall_worst_10s, window / (kTenSeconds * kTickUsec));
    still = stood_still_[i] >= 0.9 * kTickUsec ? still + 1 : 0;
    const double length = static_cast<double>(still) / 10;
    figures_.hang_longest_s = std::max(figures_.hang_longest_s, length);
    if (std::abs(length - kHangSeconds - 0.1) < 1e-9) ++figures_.hangs;
  }
  figures_.stall_share = all / (static_cast<double>(stalled_.size()) * kTickUsec);
  figures_.writes_per_minute = static_cast<double>(written_at_.size()) / (looks_ / 600);
  figures_.writes_worst_minute = worst_minute(budgeted_at_);
  figures_.delay_p99_s = host_.stats(id_).delay_p99_usec / 1e6;
}

}  // namespace sluice::bench
