#include "daemon/sample/ancestors.hpp"

#include <algorithm>

namespace sluice::sample {
namespace {

constexpr Nsec kInterval = std::chrono::seconds(1);

std::optional<Bytes> smaller(std::optional<Bytes> a, std::optional<Bytes> b) {
  return a && b ? std::min(a, b) : a ? a : b;
}

}  // namespace

void Ancestor::refresh(const cgroups::Root& root, MonotonicTime now) {
  if (read_at_ && now < *read_at_ + kInterval) return;
  read_at_ = now;
  // A slice that was stopped and started again has a new cgroup at the same path.
  if (!cgroup_ || !cgroup_->alive()) {
    bandwidth_.reset();
    auto opened = cgroups::Cgroup::open(root, path_);
    cgroup_ = opened ? *opened : nullptr;
  }
  cpu_.reset();
  memory_.reset();
  swap_room_.reset();
  swap_unknown_ = false;
  if (!cgroup_) return;
  read_cpu(*cgroup_);
  read_memory(*cgroup_);
}

void Ancestor::read_cpu(const cgroups::Cgroup& cgroup) {
  const auto limit = cgroup.read_cpu_max();
  if (!limit || !limit->quota) {
    bandwidth_.reset();
    return;
  }
  cpu_.emplace();
  cpu_->path = path_;
  cpu_->max_cores = static_cast<double>(limit->quota->count()) / static_cast<double>(limit->period.count());
  const auto stat = cgroup.read_cpu_stat();
  const auto now = stat ? stat->bandwidth : std::nullopt;
  if (now && bandwidth_ && now->nr_periods >= bandwidth_->nr_periods &&
      now->nr_throttled >= bandwidth_->nr_throttled) {
    cpu_->periods = now->nr_periods - bandwidth_->nr_periods;
    cpu_->throttled_periods = now->nr_throttled - bandwidth_->nr_throttled;
  }
  bandwidth_ = now;
}

void Ancestor::read_memory(const cgroups::Cgroup& cgroup) {
  const auto bytes = [](const cgroups::Result<MemoryLimit>& limit) {
    return limit ? limit->bytes : std::optional<Bytes>();
  };
  memory_ = smaller(bytes(cgroup.read_memory_high()), bytes(cgroup.read_memory_max()));
  const auto limit = cgroup.read_swap_max();
  // No such file: there is no limit. Any other failure: unknown.
  if (!limit) {
    swap_unknown_ = !cgroups::means_vanished(limit.error());
  } else if (limit->bytes) {
    const auto used = *limit->bytes > 0 ? cgroup.read_swap_current() : cgroups::Result<Bytes>(Bytes{0});
    swap_unknown_ = !used;
    if (used) swap_room_ = *limit->bytes > *used ? *limit->bytes - *used : 0;
  }
}

void Ancestor::apply(Sample& s) const {
  if (cpu_ && (!s.ancestor_cpu || cpu_->max_cores < s.ancestor_cpu->max_cores)) s.ancestor_cpu = cpu_;
  s.ancestor_memory = smaller(s.ancestor_memory, memory_);
  if (swap_unknown_ && s.swap_free != Bytes{0}) s.swap_free.reset();
  if (!swap_room_) return;
  // Zero is certain, even if the rest is unknown.
  if (*swap_room_ == 0 || s.swap_free) s.swap_free = std::min(*swap_room_, s.swap_free.value_or(0));
}

Ancestors::Chain Ancestors::of(std::string_view path) {
  std::erase_if(known_, [](const auto& each) { return each.second.expired(); });
  Chain chain;
  for (auto end = path.rfind('/'); end != std::string_view::npos && end > 0; end = path.rfind('/', end - 1)) {
    const auto above = path.substr(0, end);
    auto& known = known_[std::string(above)];
    auto ancestor = known.lock();
    if (!ancestor) known = ancestor = std::make_shared<Ancestor>(std::string(above));
    chain.push_back(std::move(ancestor));
  }
  return chain;
}

void Ancestors::apply(const Chain& chain, const cgroups::Root& root, MonotonicTime now, Sample& sample) {
  for (const auto& each : chain) {
    each->refresh(root, now);
    each->apply(sample);
  }
}

}  // namespace sluice::sample
