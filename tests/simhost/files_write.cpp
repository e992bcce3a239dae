#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/simhost/files.hpp"
#include "tests/simhost/kernel_parse.hpp"

namespace sluice::simhost {
namespace {

WriteResult failed(int error) {
  return {.error = error, .reclaim = {}};
}

// cpu_period_quota_parse(): "%20s %llu"; without a period the old one stays.
int write_cpu_max(Host& host, Cgroup& cgroup, std::string_view data) {
  std::string_view word = scan_word(data, 20);
  if (word.empty()) return EINVAL;
  auto period = static_cast<std::uint64_t>(cgroup.bandwidth.period_usec());
  scan_u64(data, period);
  period *= 1'000;
  std::string_view digits = word;
  if (std::uint64_t quota = 0; scan_u64(digits, quota))
    return host.set_cpu_max(cgroup, quota * 1'000, period);
  return word == "max" ? host.set_cpu_max(cgroup, std::nullopt, period) : EINVAL;
}

tl::expected<MemoryLimit, int> parse_limit(std::string_view data) {
  const std::string_view text = strip(data);
  if (text == "max") return MemoryLimit{};
  const auto bytes = memparse(text);
  if (!bytes) return tl::unexpected(bytes.error());
  const Bytes page = static_cast<Bytes>(kPage);
  return MemoryLimit{*bytes / page >= static_cast<Bytes>(INT64_MAX) / page
                         ? std::nullopt
                         : std::optional(*bytes / page * page)};
}

int write_subtree_control(Cgroup& cgroup, std::string_view data) {
  unsigned enable = 0;
  unsigned disable = 0;
  std::string_view rest = strip(data);
  while (!rest.empty()) {
    const auto space = rest.find(' ');
    std::string_view token = rest.substr(0, space);
    rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
    if (token.empty()) continue;
    const char sign = token.front();
    token.remove_prefix(1);
    const unsigned bit = token == "cpu" ? unsigned{kCpu} : token == "memory" ? unsigned{kMemory} : 0U;
    if (bit == 0 || (sign != '+' && sign != '-')) return EINVAL;
    (sign == '+' ? enable : disable) |= bit;
    (sign == '+' ? disable : enable) &= ~bit;
  }
  if ((enable & ~cgroup.controllers()) != 0) return ENOENT;
  for (const auto& [name, child] : cgroup.children) {
    if ((child->subtree_control & disable) != 0) return EBUSY;
  }
  // No processes in inner cgroups with a domain controller enabled; cpu is a threaded controller and exempt.
  if ((enable & ~cgroup.subtree_control & kMemory) != 0 && cgroup.parent != nullptr && cgroup.task != nullptr)
    return EBUSY;
  const unsigned lost = cgroup.subtree_control & disable;
  cgroup.subtree_control = (cgroup.subtree_control | enable) & ~disable;
  for (const auto& [name, child] : cgroup.children) {
    // The controller's files vanish together with their values.
    if ((lost & kCpu) != 0) child->bandwidth = Bandwidth{};
    if ((lost & kMemory) != 0) child->memory_high = child->memory_max = MemoryLimit{};
  }
  return 0;
}

int write_procs(Host& host, Cgroup& cgroup, std::string_view data) {
  const auto pid = kstrtoull(strip(data));
  if (!pid || *pid > INT32_MAX) return EINVAL;
  // Pid 0 means the writer, which is not part of the model.
  Task* task = host.task_by_pid(static_cast<int>(*pid));
  if (task == nullptr || task->dead_since >= 0) return ESRCH;
  if (cgroup.parent != nullptr && (cgroup.subtree_control & kMemory) != 0) return EBUSY;
  return host.move_task(*task, cgroup);
}

int write_freeze(Cgroup& cgroup, std::string_view data) {
  const auto value = kstrtoull(strip(data));
  if (!value) return value.error();
  if (*value > 1) return ERANGE;
  cgroup.frozen = *value == 1;
  ++cgroup.cgroup_events_changes;
  return 0;
}

int write_kill(Host& host, Cgroup& cgroup, std::string_view data) {
  const auto value = kstrtoull(strip(data));
  if (!value) return value.error();
  if (*value != 1) return ERANGE;
  each(cgroup, [&](Cgroup& at) {
    if (at.task != nullptr) host.kill_task(*at.task);
  });
  return 0;
}

int write_count(std::uint64_t& to, std::string_view data, std::uint64_t least, std::uint64_t most) {
  const auto value = kstrtoull(data);
  if (!value) return value.error();
  if (*value < least || *value > most) return ERANGE;
  to = *value;
  return 0;
}

}  // namespace

WriteResult write_file(Host& host, Cgroup& cgroup, File file, std::string_view data) {
  if (data.empty()) return {};
  switch (file) {
    case File::cpu_max:
      return failed(write_cpu_max(host, cgroup, data));
    case File::cpu_max_burst: {
      const auto value = kstrtoull(data);
      return failed(value ? host.set_cpu_burst(cgroup, *value) : value.error());
    }
    case File::cpu_weight:
      return failed(write_count(cgroup.cpu_weight, data, 1, 10'000));
    case File::memory_high:
    case File::memory_max: {
      const auto limit = parse_limit(data);
      if (!limit) return failed(limit.error());
      return {.error = 0,
              .reclaim = file == File::memory_high ? host.set_memory_high(cgroup, *limit)
                                                   : host.set_memory_max(cgroup, *limit)};
    }
    case File::memory_low:
    case File::memory_min: {
      const auto limit = parse_limit(data);
      if (!limit) return failed(limit.error());
      (file == File::memory_low ? cgroup.memory_low : cgroup.memory_min) = limit->bytes.value_or(UINT64_MAX);
      return {};
    }
    case File::memory_swap_high:
    case File::memory_swap_max: {
      const auto limit = parse_limit(data);
      if (!limit) return failed(limit.error());
      (file == File::memory_swap_high ? cgroup.memory_swap_high : cgroup.memory_swap_max) = *limit;
      return {};
    }
    case File::memory_reclaim: {
      const auto bytes = memparse(strip(data));
      if (!bytes) return failed(bytes.error());
      return {.error = 0, .reclaim = host.reclaim(cgroup, *bytes)};
    }
    case File::memory_oom_group: {
      std::uint64_t value = 0;
      const int error = write_count(value, strip(data), 0, 1);
      if (error == 0) cgroup.memory_oom_group = value == 1;
      return failed(error == ERANGE ? EINVAL : error);
    }
    case File::cgroup_subtree_control:
      return failed(write_subtree_control(cgroup, data));
    case File::cgroup_procs:
      return failed(write_procs(host, cgroup, data));
    case File::cgroup_freeze:
      return failed(write_freeze(cgroup, data));
    case File::cgroup_kill:
      return failed(write_kill(host, cgroup, data));
    default:
      // Read-only files, and knobs that the model shows but does not implement.
      return failed(EINVAL);
  }
}

tl::expected<std::shared_ptr<PsiTrigger>, int> parse_trigger(Host& host, Cgroup& cgroup, Resource resource,
                                                             std::string_view data,
                                                             const PsiTriggerRules& rules) {
  constexpr std::uint64_t kWindowMax = 10'000'000;
  constexpr std::uint64_t kUnprivilegedStep = 2'000'000;
  const bool full = data.starts_with("full ");
  if (!full && !data.starts_with("some ")) return tl::unexpected(EINVAL);
  data.remove_prefix(5);
  std::uint64_t threshold = 0;
  std::uint64_t window = 0;
  if (!scan_u64(data, threshold) || !scan_u64(data, window)) return tl::unexpected(EINVAL);
  if (window == 0 || window < rules.window_min_usec || window > kWindowMax) return tl::unexpected(EINVAL);
  if (rules.unprivileged && window % kUnprivilegedStep != 0) return tl::unexpected(EINVAL);
  if (threshold == 0 || threshold > window) return tl::unexpected(EINVAL);
  Psi& psi = cgroup.psi(resource);
  auto trigger =
      std::make_shared<PsiTrigger>(full, double(threshold), double(window), double(host.now().count()),
                                   full ? psi.full_usec() : psi.some_usec());
  psi.watch(trigger);
  return trigger;
}

}  // namespace sluice::simhost
