// The administrator's hand on the state.
#include <algorithm>
#include <cmath>

#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice {
namespace parts {
namespace {

TaskState* find_task(Tick& t, const std::string& name) {
  for (auto& [id, task] : t.state.tasks) {
    if (task.facts.name == name) return &task;
  }
  return nullptr;
}

struct Obey {
  Tick& t;

  void operator()(const PinCommand& c) const {
    if (auto* task = find_task(t, c.task)) task->pin = c;
  }
  void operator()(const UnpinCommand& c) const {
    if (auto* task = find_task(t, c.task)) task->pin.reset();
  }
  void operator()(const SuspendCommand& c) const {
    if (c.task.empty()) {
      t.state.suspended = true;
      t.state.suspend_reason = c.reason;
    } else if (auto* task = find_task(t, c.task)) {
      task->suspended = true;
      task->suspend_reason = c.reason;
    }
  }
  void operator()(const ResumeCommand& c) const {
    if (c.task.empty()) {
      t.state.suspended = false;
      t.state.suspend_reason.clear();
    } else if (auto* task = find_task(t, c.task)) {
      task->suspended = false;
      task->suspend_reason.clear();
      task->breaker = {};
      task->yield_until = {};
    }
  }
  void operator()(const SetBoundsCommand& c) const {
    auto* task = find_task(t, c.task);
    if (!task) return;
    auto take = [](auto& mine, const auto& theirs) {
      if (theirs) mine = theirs;
    };
    take(task->bounds.cpu_min_cores, c.cpu_min_cores);
    take(task->bounds.cpu_max_cores, c.cpu_max_cores);
    take(task->bounds.memory_min, c.memory_min);
    take(task->bounds.memory_max, c.memory_max);
  }
  void operator()(const ReportLoadCommand& c) const {
    auto* task = find_task(t, c.task);
    if (!task) return;
    task->load = c.load;
    task->load_until = c.until;
    task->load_new = true;
  }
  void operator()(const SetModeCommand& c) const { t.state.mode = c.mode; }
  void operator()(const RestoreCommand&) const { t.state.mode = config::Mode::observe; }
  void operator()(const OwnerVanishedCommand& c) const {
    for (auto& [id, task] : t.state.tasks) {
      if (task.pin && !c.owner.empty() && task.pin->owner == c.owner) task.pin.reset();
    }
  }
};

}  // namespace

void obey_commands(Tick& t) {
  for (const auto& c : t.input.commands) std::visit(Obey{t}, c);
  t.mode = t.state.mode.value_or(t.config.node.mode);
}

// Leaving dry-run: what it pretended is forgotten, the kernel's own values are taken.
void enter_mode(Tick& t) {
  if (t.mode == t.state.mode_before && t.state.ticks > 1) return;
  const bool told = t.state.ticks > 1;
  if (t.state.mode_before == config::Mode::dry_run) {
    for (auto& [id, task] : t.state.tasks) {
      task.cpu.rates = task.memory.rates = {};
      if (!task.sample) continue;
      if (task.sample->cpu_max) task.cpu.holds = *task.sample->cpu_max;
      if (task.sample->memory_high) task.memory.holds = *task.sample->memory_high;
    }
  }
  t.state.mode_before = t.mode;
  if (told) {
    t.report.notices.push_back({});
    t.report.notices.back().kind = Notice::Kind::mode_changed;
  }
}

}  // namespace parts

namespace {

CommandError no_such_task(const std::string& name) {
  return {CommandError::Kind::no_such_task, "no governed task is named '" + name + "'"};
}

const TaskReport* find_report(const Report& last, const std::string& name) {
  const auto found =
      std::find_if(last.tasks.begin(), last.tasks.end(), [&](const auto& t) { return t.name == name; });
  return found == last.tasks.end() ? nullptr : &*found;
}

using Checked = tl::expected<void, CommandError>;

Checked out_of_range(std::string message) {
  return tl::unexpected(CommandError{CommandError::Kind::limit_out_of_range, std::move(message)});
}

struct Check {
  const Report& last;

  Checked exists(const std::string& task) const {
    if (!task.empty() && !find_report(last, task)) return tl::unexpected(no_such_task(task));
    return {};
  }

  Checked operator()(const PinCommand& c) const {
    const TaskReport* task = find_report(last, c.task);
    if (!task) return tl::unexpected(no_such_task(c.task));
    if (!task->pinned_by.empty() && task->pinned_by != c.owner && !c.owner.empty()) {
      return tl::unexpected(
          CommandError{CommandError::Kind::pinned,
                       "'" + c.task + "' is pinned by " + task->pinned_by + "; Unpin it first"});
    }
    if (!c.cpu_cores && !c.memory_high)
      return out_of_range("a pin names CPUQuotaPerSecUSec, MemoryHigh, or both");
    if (c.cpu_cores && (!std::isfinite(*c.cpu_cores) || *c.cpu_cores < task->cpu_min_cores - 1e-9 ||
                        *c.cpu_cores > task->cpu_max_cores + 1e-9)) {
      return out_of_range(
          "CPUQuotaPerSecUSec is outside the task's bounds (CPUMinPerSecUSec, CPUMaxPerSecUSec); SetBounds "
          "widens them, down to one cpu.step");
    }
    if (c.memory_high && (*c.memory_high < task->memory_min || *c.memory_high > task->memory_max)) {
      return out_of_range(
          "MemoryHigh is outside the task's bounds (MemoryMin, MemoryMax); SetBounds widens them");
    }
    return {};
  }
  Checked operator()(const UnpinCommand& c) const {
    const TaskReport* task = find_report(last, c.task);
    if (!task) return tl::unexpected(no_such_task(c.task));
    return {};
  }
  Checked operator()(const SuspendCommand& c) const { return exists(c.task); }
  Checked operator()(const ResumeCommand& c) const { return exists(c.task); }
  Checked operator()(const SetBoundsCommand& c) const {
    const TaskReport* task = find_report(last, c.task);
    if (!task) return tl::unexpected(no_such_task(c.task));
    const double cpu_min = c.cpu_min_cores.value_or(task->cpu_min_cores);
    const double cpu_max = c.cpu_max_cores.value_or(task->cpu_max_cores);
    constexpr double kCoresMin = 0.01;
    if (!std::isfinite(cpu_min) || !std::isfinite(cpu_max) || cpu_min < kCoresMin || cpu_min > cpu_max) {
      return out_of_range("CPU bounds must satisfy 0.01 cores <= min <= max");
    }
    if (cpu_max > last.node.cpu_capacity_cores + 1e-9)
      return out_of_range("the CPU maximum is more than the node has");
    if (c.memory_min && c.memory_max && *c.memory_min > *c.memory_max) {
      return out_of_range("memory bounds must satisfy min <= max");
    }
    if (c.memory_max && (*c.memory_max > last.node.memory_capacity || *c.memory_max == 0)) {
      return out_of_range("the memory maximum is zero or more than the node has");
    }
    if (c.memory_min && *c.memory_min > last.node.memory_capacity) {
      return out_of_range("the memory minimum is more than the node has");
    }
    return {};
  }
  Checked operator()(const ReportLoadCommand& c) const {
    auto known = exists(c.task);
    if (!known) return known;
    const auto& l = c.load;
    for (const auto& value :
         {l.lag, l.processed, l.arrival_rate, l.oldest_age_seconds, l.backlog_cpu_seconds}) {
      if (value && (!std::isfinite(*value) || *value < 0))
        return out_of_range("a reported load is a finite number, zero or more");
    }
    return {};
  }
  Checked operator()(const SetModeCommand&) const { return {}; }
  Checked operator()(const RestoreCommand&) const { return {}; }
  Checked operator()(const OwnerVanishedCommand&) const { return {}; }
};

}  // namespace

void config_reloaded(State& state) {
  state.mode.reset();
  for (auto& [id, task] : state.tasks) {
    task.bounds = {};
    task.scheduled = {};
    task.scheduled_at.reset();
  }
}

tl::expected<void, CommandError> check_command(const Command& command, const Report& last) {
  return std::visit(Check{last}, command);
}

}  // namespace sluice
