#include "daemon/publish/bus/task_object.hpp"

#include <utility>

#include "daemon/process/clock.hpp"
#include "daemon/publish/bus/arguments.hpp"
#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/task_entries.hpp"
#include "daemon/publish/bus/task_properties.hpp"
#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"

namespace sluice::publish {

namespace {

using std::string;
using std::uint64_t;

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
  std::vector<string> last;
  for (auto change = view_.history.rbegin(); change != view_.history.rend() && last.size() < 8; ++change) {
    last.push_back(sentence(with_words(task, *change)));
  }
  compat::Dictionary map = explanation_entries(task, monotonic_now());
  map.insert(compat::entry("LastChanges", last));
  map.insert(compat::entry("PinnedBy", pinned_by(context_, task)));
  return map;
}

compat::Dictionary TaskObject::statistics() const {
  compat::Dictionary map = statistics_entries(*view_.report, monotonic_now());
  map.insert(compat::entry("HistoryEntries", static_cast<std::uint32_t>(view_.history.size())));
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
