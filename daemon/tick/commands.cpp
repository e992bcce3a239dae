// Commands of administrators and tasks: holds, modes, reported loads.
#include <algorithm>
#include <cmath>

#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice {
namespace parts {
namespace {

TaskState* find_task(Tick& t, const std::string& name) {
  for (const auto& each : t.tasks) {
    if (each.task->facts.name == name) return each.task;
  }
  return nullptr;
}

bool says_something(const Hold& hold) {
  const auto& b = hold.bounds;
  return hold.pin || hold.suspension || b.cpu_min_cores || b.cpu_max_cores || b.memory_min || b.memory_max;
}

struct Obey {
  Tick& t;

  // The hold of an existing task. A hold survives its task.
  Hold* hold_for(const std::string& name) const {
    const auto* task = find_task(t, name);
    if (!task) return nullptr;
    ++t.state.holds.revision;
    Hold& hold = t.state.holds.tasks[name];
    hold.cgroup = task->facts.cgroup;
    return &hold;
  }
  void lift(const std::string& name, auto&& change) const {
    const auto found = t.state.holds.tasks.find(name);
    if (found == t.state.holds.tasks.end()) return;
    ++t.state.holds.revision;
    change(found->second);
    if (!says_something(found->second)) t.state.holds.tasks.erase(found);
  }

  void operator()(const PinCommand& c) const {
    if (auto* hold = hold_for(c.task)) hold->pin = c;
  }
  void operator()(const UnpinCommand& c) const {
    lift(c.task, [](Hold& hold) { hold.pin.reset(); });
  }
  void operator()(const SuspendCommand& c) const {
    if (c.task.empty()) {
      ++t.state.holds.revision;
      t.state.holds.node = Suspension{c.reason, c.uid};
    } else if (auto* hold = hold_for(c.task)) {
      hold->suspension = Suspension{c.reason, c.uid};
    }
  }
  void operator()(const ResumeCommand& c) const {
    if (c.task.empty()) {
      ++t.state.holds.revision;
      t.state.holds.node.reset();
      return;
    }
    lift(c.task, [](Hold& hold) { hold.suspension.reset(); });
    if (auto* task = find_task(t, c.task)) {
      task->breaker = {};
      task->yield_until = {};
    }
  }
  void operator()(const SetBoundsCommand& c) const {
    auto* hold = hold_for(c.task);
    if (!hold) return;
    auto take = [](auto& mine, const auto& theirs) {
      if (theirs) mine = theirs;
    };
    take(hold->bounds.cpu_min_cores, c.cpu_min_cores);
    take(hold->bounds.cpu_max_cores, c.cpu_max_cores);
    take(hold->bounds.memory_min, c.memory_min);
    take(hold->bounds.memory_max, c.memory_max);
    if (!says_something(*hold)) t.state.holds.tasks.erase(c.task);
  }
  void operator()(const ReportLoadCommand& c) const {
    auto* task = find_task(t, c.task);
    if (!task) return;
    task->load = c.load;
    task->load_until = c.until;
    task->load_new = true;
  }
  void set_mode(config::Mode mode) const {
    ++t.state.holds.revision;
    t.state.holds.mode = mode;
  }
  void operator()(const SetModeCommand& c) const { set_mode(c.mode); }
  void operator()(const RestoreCommand&) const { set_mode(config::Mode::observe); }
  void operator()(const OwnerVanishedCommand& c) const {
    if (c.owner.empty()) return;
    drop_pins(t, [&](const PinCommand& pin) { return pin.owner == c.owner; });
  }

  static void drop_pins(Tick& t, auto&& over) {
    auto& tasks = t.state.holds.tasks;
    for (auto next = tasks.begin(); next != tasks.end();) {
      const auto each = next++;
      if (!each->second.pin || !over(*each->second.pin)) continue;
      ++t.state.holds.revision;
      each->second.pin.reset();
      if (!says_something(each->second)) tasks.erase(each);
    }
  }
};

}  // namespace

void obey_commands(Tick& t) {
  for (const auto& c : t.input.commands) std::visit(Obey{t}, c);
  t.mode = t.state.holds.mode.value_or(t.config.node.mode);
}

void expire_holds(Tick& t) {
  Obey::drop_pins(t, [&](const PinCommand& pin) { return pin.until && t.input.now >= *pin.until; });
}

void find_holds(Tick& t) {
  const auto& held = t.state.holds.tasks;
  for (const auto& each : t.tasks) {
    each.task->hold = nullptr;
    if (held.empty()) continue;
    const auto found = held.find(each.task->facts.name);
    if (found != held.end()) each.task->hold = &found->second;
  }
}

// On leaving dry-run mode, the simulated values are dropped.
void enter_mode(Tick& t) {
  if (t.mode == t.state.mode_before && t.state.ticks > 1) return;
  const bool first = t.state.ticks <= 1;
  if (t.state.mode_before == config::Mode::dry_run) {
    for (const auto& each : t.tasks) {
      for (const Knob which : kKnobs) {
        auto& knob = each.task->knob(which);
        knob.rates = {};
        knob.limit.forget_pretended();
      }
    }
  }
  t.state.mode_before = t.mode;
  if (first) return;
  t.report.notices.push_back({});
  t.report.notices.back().kind = Notice::Kind::mode_changed;
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
    if (c.memory_max && (*c.memory_max > last.node.memory_capacity || *c.memory_max == 0)) {
      return out_of_range("the memory maximum is zero or more than the node has");
    }
    if (c.memory_min && *c.memory_min > last.node.memory_capacity) {
      return out_of_range("the memory minimum is more than the node has");
    }
    return check_memory(c, *task);
  }
  // The minimum includes what reclaim cannot free: nothing can push a task below that.
  static Checked check_memory(const SetBoundsCommand& c, const TaskReport& task) {
    if (!c.memory_min && !c.memory_max) return {};
    const Bytes min = c.memory_min.value_or(task.memory_min), max = c.memory_max.value_or(task.memory_max);
    if (min <= max) return {};
    const bool floor = !c.memory_min && task.memory_floor && *task.memory_floor >= task.memory_min;
    return out_of_range("memory bounds must satisfy MemoryMin <= MemoryMax, and not " + std::to_string(min) +
                        " and " + std::to_string(max) + " bytes" +
                        (floor ? "; the first is what reclaim cannot free of the task now"
                         : c.memory_min && c.memory_max ? ""
                                                        : "; name both, if both are to move"));
  }
  // A report is accepted only if it will be used. Otherwise the reporting task would believe that it is
  // governed by it.
  Checked operator()(const ReportLoadCommand& c) const {
    const TaskReport* task = find_report(last, c.task);
    if (!task) return tl::unexpected(no_such_task(c.task));
    const auto unused = [](std::string why) {
      return tl::unexpected(CommandError{CommandError::Kind::unsupported, std::move(why)});
    };
    if (task->cpu_story.bar == Bar::disabled)
      return unused("the configuration does not govern the CPU of '" + c.task +
                    "' (cpu.enabled = false), and nothing else goes by a reported load");
    const auto& l = c.load;
    if (l.oldest_age_seconds && !l.lag && !l.backlog_cpu_seconds)
      return unused("oldest_age_seconds says nothing alone: report lag or backlog_cpu_seconds with it");
    for (const auto& value : {l.lag, l.processed, l.oldest_age_seconds, l.backlog_cpu_seconds}) {
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
  ++state.holds.revision;
  state.holds.mode.reset();
  for (auto& [name, hold] : state.holds.tasks) hold.bounds = {};
  std::erase_if(state.holds.tasks, [](const auto& each) { return !parts::says_something(each.second); });
  for (auto& [id, task] : state.tasks) {
    task.hold = nullptr;
    task.scheduled = {};
    task.schedule_evaluated_at.reset();
  }
}

std::map<std::string, std::string, std::less<>> owners_of(const Holds& holds) {
  std::map<std::string, std::string, std::less<>> owners;
  for (const auto& [name, hold] : holds.tasks) owners.emplace(name, hold.cgroup);
  return owners;
}

tl::expected<void, CommandError> check_command(const Command& command, const Report& last) {
  return std::visit(Check{last}, command);
}

}  // namespace sluice
