#include "daemon/publish/task_object.hpp"

#include <utility>

#include "daemon/publish/arguments.hpp"
#include "daemon/publish/bus_compat.hpp"
#include "daemon/publish/names.hpp"
#include "daemon/publish/task_properties.hpp"
#include "daemon/publish/words.hpp"

namespace sluice::publish {

namespace {

using std::string;
using std::uint64_t;

string clamp_name(const Reason& reason) {
  if (reason.clamped_capacity) return "capacity";
  if (reason.clamped_max) return "max";
  return reason.clamped_min ? "min" : "";
}

uint64_t bytes_value(double bytes) {
  return bytes > 0 && bytes < 1.8e19 ? static_cast<uint64_t>(bytes) : 0;
}

Adjustment with_words(const TaskReport& task, const Change& change) {
  return {.id = task.id,
          .task = task.name,
          .cgroup = task.cgroup,
          .knob = change.knob,
          .old_value = change.old_value,
          .new_value = change.new_value,
          .reason = change.reason,
          .at = {},
          .reaction = {},
          .dry_run = change.dry_run};
}

}  // namespace

TaskObject::TaskObject(sdbus::IConnection& bus, const ObjectContext& context, std::string name,
                       const TaskView& view)
    : context_(context),
      name_(std::move(name)),
      view_(view),
      object_(compat::create_object(bus, task_path(name_))) {
  export_methods(*object_);
  emit_changes();  // takes the first look; says nothing
}

TaskObject::~TaskObject() {
  if (!announced_) return;
  try {
    object_->emitInterfacesRemovedSignal();
  } catch (const sdbus::Error&) {
    // The connection is gone, and everything with it.
  }
}

void TaskObject::announce() {
  object_->emitInterfacesAddedSignal();
  announced_ = true;
}

void TaskObject::emit_adjusted(const Change& change) {
  object_->emitSignal(change.dry_run ? "Recommended" : "Adjusted")
      .onInterface(kTaskInterface)
      .withArguments(string(file_name(change.knob)), knob_value(change.old_value),
                     knob_value(change.new_value), string(to_string(change.reason.rule)));
}

void TaskObject::emit_changes() {
  const auto names = changed_.look([this](auto&& visit) {
    visit_task_properties([&](const char* name, compat::Emits emits, auto getter) {
      if (emits == compat::Emits::yes) visit(name, emits, getter(context_, view_));
    });
  });
  if (!names.empty()) compat::emit_changed(*object_, kTaskInterface, names);
}

void TaskObject::gated(sdbus::Result<>&& result, Work work, string rate_key) {
  context_.gate.call(compat::sender(*object_), std::move(rate_key), std::move(result), std::move(work));
}

// Calls wait for their caller's uid; meanwhile the task may go. Work therefore captures the context and the
// task's name, never `this`.
void TaskObject::export_methods(sdbus::IObject& object) {
  compat::Interface interface(object, kTaskInterface);
  visit_task_properties([&](const char* name, compat::Emits emits, auto getter) {
    interface.property(name, emits, [this, getter] { return getter(context_, view_); });
  });
  const auto& context = context_;

  interface.method(
      "Pin", {"limits", "ttl_usec", "reason"}, {},
      [this, &context](sdbus::Result<>&& result, Options limits, uint64_t ttl_usec, string reason) {
        gated(std::move(result), [&context, task = name_, limits, ttl_usec, reason](const Caller& caller) {
          context.pin(pin_command(task, limits, ttl_usec, reason, caller.bus_name, monotonic_now()), caller);
        });
      });
  interface.method("Unpin", {}, {}, [this, &context](sdbus::Result<>&& result) {
    gated(std::move(result), [&context, task = name_](const Caller& caller) { context.unpin(task, caller); });
  });
  interface.method("SetBounds", {"bounds"}, {}, [this, &context](sdbus::Result<>&& result, Options bounds) {
    gated(std::move(result),
          [&context, task = name_, bounds](const Caller&) { context.submit(bounds_command(task, bounds)); });
  });
  interface.method("Suspend", {"reason"}, {}, [this, &context](sdbus::Result<>&& result, string reason) {
    gated(std::move(result), [&context, task = name_, reason](const Caller& caller) {
      check_text("reason", reason);
      context.suspend(task, reason, caller);
    });
  });
  interface.method("Resume", {}, {}, [this, &context](sdbus::Result<>&& result) {
    gated(std::move(result),
          [&context, task = name_](const Caller& caller) { context.resume(task, caller); });
  });
  // One limit a task, not a uid: a host's tasks usually report as one user.
  interface.method(
      "ReportLoad", {"load", "ttl_usec"}, {},
      [this, &context](sdbus::Result<>&& result, std::map<string, double> load, uint64_t ttl_usec) {
        gated(
            std::move(result),
            [&context, task = name_, load, ttl_usec](const Caller&) {
              context.submit(load_command(task, load, ttl_usec, monotonic_now()));
            },
            "ReportLoad of " + c_escape(name_));
      });

  interface.method("Explain", {}, {"explanation"}, [this] { return explain(); });
  interface.method("GetStats", {}, {"statistics"}, [this] { return statistics(); });
  interface.method("History", {"since_usec", "limit"}, {"changes"},
                   [this](uint64_t since_usec, std::uint32_t limit) { return history(since_usec, limit); });
  interface.signal<string, uint64_t, uint64_t, string>("Adjusted", {"knob", "old", "new", "reason"});
  interface.signal<string, uint64_t, uint64_t, string>("Recommended", {"knob", "old", "new", "reason"});
  interface.finish();
}

compat::Dictionary TaskObject::explain() const {
  const TaskReport& task = *view_.report;
  const Reason& cpu = task.cpu_reason;
  const Reason& memory = task.memory_reason;
  std::vector<string> last;
  for (auto change = view_.history.rbegin(); change != view_.history.rend() && last.size() < 8; ++change) {
    last.push_back(sentence(with_words(task, *change)));
  }
  compat::Dictionary map{
      compat::entry("Text", explanation(task, monotonic_now())),
      compat::entry("LastChanges", last),
      compat::entry("Mode", string(to_string(task.mode))),
      compat::entry("HoldReason", c_escape(task.hold_reason)),
      compat::entry("PinnedBy", pinned_by(context_, task)),
      compat::entry("BreakerState", string(to_string(task.breaker))),
      compat::entry("BreakerCause", c_escape(task.breaker_cause)),
      compat::entry("CPURule", string(to_string(cpu.rule))),
      compat::entry("CPUText", reason_words(Knob::cpu_max, cpu)),
      compat::entry("CPUWantedPerSecUSec", usec_value(cpu.wanted)),
      compat::entry("CPUClampedBy", clamp_name(cpu)),
      compat::entry("CPUDemandPerSecUSec", usec_value(cpu.demand_cores)),
      compat::entry("CPUUsagePerSecUSec", usec_value(cpu.usage_cores)),
      compat::entry("CPUBacklogUSec", usec_value(cpu.backlog_cpu_seconds)),
      compat::entry("CPUBindingUSec", usec_value(cpu.binding_seconds)),
      compat::entry("CPUThrottledRatio", cpu.throttled_ratio),
      compat::entry("CPUPressureRatio", cpu.pressure_ratio),
      compat::entry("MemoryRule", string(to_string(memory.rule))),
      compat::entry("MemoryText", reason_words(Knob::memory_high, memory)),
      compat::entry("MemoryWanted", bytes_value(memory.wanted)),
      compat::entry("MemoryClampedBy", clamp_name(memory)),
      compat::entry("MemoryPressureRatio", memory.pressure_ratio),
      compat::entry("MemoryRefaultsPerSec", memory.refaults_per_second),
      compat::entry("MemoryReclaimRatio", memory.steal_scan_ratio),
  };
  if (task.memory_floor) map.insert(compat::entry("MemoryFloor", uint64_t{*task.memory_floor}));
  return map;
}

compat::Dictionary TaskObject::statistics() const {
  const TaskReport& task = *view_.report;
  compat::Dictionary map{
      compat::entry("WritesLastMinute", task.writes_last_minute),
      compat::entry("WritesTotal", task.writes_total),
      compat::entry("DriftTotal", task.drift_total),
      compat::entry("HistoryEntries", static_cast<std::uint32_t>(view_.history.size())),
  };
  // Absent when not known: here a map can say so.
  const auto add = [&](const char* key, const auto& value) {
    if (value) map.insert(compat::entry(key, *value));
  };
  const auto add_usec = [&](const char* key, const std::optional<double>& seconds) {
    if (seconds) map.insert(compat::entry(key, usec_value(*seconds)));
  };
  add_usec("CPUUsagePerSecUSec", task.cpu_usage_cores);
  add_usec("CPUDemandPerSecUSec", task.cpu_demand_cores);
  add_usec("BacklogCPUUSec", task.backlog_cpu_seconds);
  add("ThrottledRatio", task.cpu_throttled_ratio);
  add("CPUPressureRatio", task.cpu_pressure_ratio);
  add("MemoryPressureRatio", task.memory_pressure_ratio);
  add("MemoryRefaultsPerSec", task.refaults_per_second);
  add("MemoryCurrent", task.memory_current);
  add("MemoryFloor", task.memory_floor);
  add("Lag", task.lag);
  return map;
}

std::vector<TaskObject::HistoryRow> TaskObject::history(uint64_t since_usec, std::uint32_t limit) const {
  // The newest `limit` of those since then, oldest first. 0: all that is kept.
  std::vector<HistoryRow> rows;
  for (auto change = view_.history.rbegin(); change != view_.history.rend(); ++change) {
    if (change->at_usec < since_usec || (limit != 0 && rows.size() >= limit)) break;
    rows.emplace_back(change->at_usec, string(file_name(change->knob)), knob_value(change->old_value),
                      knob_value(change->new_value), string(to_string(change->reason.rule)),
                      sentence(with_words(*view_.report, *change)));
  }
  return {rows.rbegin(), rows.rend()};
}

}  // namespace sluice::publish
