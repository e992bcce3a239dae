#include "daemon/publish/bus/manager_object.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "daemon/publish/bus/arguments.hpp"
#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/manager_properties.hpp"
#include "daemon/publish/journal/journal.hpp"
#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"

namespace sluice::publish {

using std::string;

class ManagerExport : public compat::Interface {
 public:
  explicit ManagerExport(sdbus::IObject& object) : Interface(object, kManagerInterface) {}
};

ManagerObject::ManagerObject(sdbus::IConnection& bus, const ObjectContext& context)
    : context_(context),
      saturated_(context.model.report().node.saturated),
      mode_(mode_name(context.model.report().node.mode)),
      object_(compat::create_object(bus, kRootPath)) {
  ManagerExport interface(*object_);
  export_properties(interface);
  export_methods(interface);
  interface.finish();
  emit_changes();  // takes the first look; says nothing
}

ManagerObject::~ManagerObject() = default;

void ManagerObject::export_properties(ManagerExport& interface) {
  visit_manager_properties([&](const char* name, compat::Emits emits, auto getter) {
    interface.property(name, emits, [this, getter] { return getter(context_); });
  });
}

void ManagerObject::export_methods(ManagerExport& interface) {
  const auto& context = context_;
  const auto gated = [this](sdbus::Result<>&& result, std::function<void(const Caller&)> work) {
    context_.gate.call(compat::sender(*object_), {}, std::move(result), std::move(work));
  };
  interface.method("Reload", {}, {}, [this](sdbus::Result<>&& result) { reload(std::move(result)); });
  // What is too long is refused before anything waits: a call that waits keeps what it was given.
  interface.method("SetMode", {"mode"}, {}, [gated, &context](sdbus::Result<>&& result, string mode) {
    gated(std::move(result),
          [&context, command = mode_command(mode)](const Caller&) { context.submit(command); });
  });
  interface.method("Suspend", {"process", "reason"}, {},
                   [this, gated, &context](sdbus::Result<>&& result, string process, string reason) {
                     check_text("process", process);
                     check_text("reason", reason);
                     gated(std::move(result), [this, &context, process, reason](const Caller& caller) {
                       if (process == "all") return context.submit(SuspendCommand{{}, reason, caller.uid});
                       context.suspend(task_of(process), reason, caller);
                     });
                   });
  interface.method("Resume", {"process"}, {},
                   [this, gated, &context](sdbus::Result<>&& result, string process) {
                     check_text("process", process);
                     gated(std::move(result), [this, &context, process](const Caller& caller) {
                       if (process == "all") return context.submit(ResumeCommand{{}});
                       context.resume(task_of(process), caller);
                     });
                   });
  interface.method("Restore", {}, {}, [gated, &context](sdbus::Result<>&& result) {
    gated(std::move(result), [&context](const Caller&) { context.submit(RestoreCommand{}); });
  });
  interface.method("Reexecute", {}, {}, [gated, &context](sdbus::Result<>&& result) {
    gated(std::move(result), [&context](const Caller&) {
      if (!context.hooks.reexecute()) throw compat::error(error_name::failed, "sluiced is stopping");
    });
  });
  interface.method("Plan", {}, {"writes"}, [this] { return plan(); });
  interface.method("GetStats", {}, {"statistics"}, [this] { return statistics(); });
  interface.signal<string, sdbus::ObjectPath>("TaskAdded", {"name", "path"});
  interface.signal<string, sdbus::ObjectPath>("TaskRemoved", {"name", "path"});
  interface.signal<bool>("Saturated", {"saturated"});
  interface.signal<string>("ModeChanged", {"mode"});
}

// The loop answers when it is done, perhaps when this object, and the whole connection, are long gone.
void ManagerObject::reload(sdbus::Result<>&& result) {
  context_.gate.call_later(
      compat::sender(*object_), std::move(result), [this](const Caller&, CallGate::Ticket ticket) {
        context_.hooks.reload([this, ticket, alive = std::weak_ptr<int>(alive_)](const ReloadResult& done) {
          if (alive.expired()) return;
          if (done) return context_.gate.answer(ticket, std::nullopt);
          context_.gate.answer(
              ticket, compat::error(error_name::invalid_config, fmt::format("the old configuration stays: {}",
                                                                            fmt::join(done.error(), "\n"))));
        });
      });
}

string ManagerObject::task_of(const string& process) const {
  if (const auto* view = context_.model.find_shown(process)) return view->report->name;
  throw compat::error(
      error_name::no_such_task,
      fmt::format("no task is called '{}'; 'all' means the whole node", printable_line(shortened(process))));
}

std::vector<ManagerObject::PlanRow> ManagerObject::plan() const {
  std::map<CgroupId, const TaskReport*> by_id;
  for (const auto& [name, view] : context_.model.tasks()) by_id[view.report->id] = view.report.get();
  std::vector<PlanRow> rows;
  for (const auto& write : context_.hooks.plan().writes) {
    const auto task = by_id.find(write.id);
    rows.emplace_back(
        task == by_id.end() ? fmt::format("cgroup {}", write.id.value) : c_escape(task->second->name),
        string(file_name(write.knob)), knob_value(write.value), string(to_string(write.reason.rule)),
        sentence(write));
  }
  return rows;
}

compat::Dictionary ManagerObject::statistics() const {
  const auto& node = context_.model.report().node;
  const auto& calls = context_.statistics.calls;
  compat::Dictionary all{
      compat::entry("TicksTotal", node.ticks),
      compat::entry("EventsTotal", node.events_total),
      compat::entry("EventsLost", context_.facts.events_lost),
      compat::entry("WritesTotal", node.writes_total),
      compat::entry("Tasks", static_cast<std::uint32_t>(context_.model.tasks().size())),
      compat::entry("Holds", static_cast<std::uint32_t>(context_.model.holds())),
      compat::entry("BusConnections", context_.statistics.connections),
      compat::entry("CallsAccepted", calls.accepted),
      compat::entry("CallsFailed", calls.failed),
      compat::entry("CallsDenied", calls.denied),
      compat::entry("CallsRateLimited", calls.rate_limited),
      compat::entry("LogLinesLost", log_lines_lost()),
  };
  if (const auto unread = context_.statistics.unread_bytes) all.insert(compat::entry("UnreadBytes", *unread));
  return all;
}

void ManagerObject::emit_task_added(const string& name) {
  object_->emitSignal("TaskAdded")
      .onInterface(kManagerInterface)
      .withArguments(c_escape(name), sdbus::ObjectPath{task_path(name)});
}

void ManagerObject::emit_task_removed(const string& name) {
  object_->emitSignal("TaskRemoved")
      .onInterface(kManagerInterface)
      .withArguments(c_escape(name), sdbus::ObjectPath{task_path(name)});
}

void ManagerObject::emit_node_signals() {
  const auto& node = context_.model.report().node;
  if (node.saturated != saturated_) {
    saturated_ = node.saturated;
    object_->emitSignal("Saturated").onInterface(kManagerInterface).withArguments(bool{saturated_});
  }
  if (string mode(mode_name(node.mode)); mode != mode_) {
    mode_ = std::move(mode);
    object_->emitSignal("ModeChanged").onInterface(kManagerInterface).withArguments(mode_);
  }
}

void ManagerObject::emit_changes() {
  const auto names = changed_.look([this](auto&& visit) {
    visit_manager_properties([&](const char* name, compat::Emits emits, auto getter) {
      if (emits == compat::Emits::yes) visit(name, emits, getter(context_));
    });
  });
  if (!names.empty()) compat::emit_changed(*object_, kManagerInterface, names);
}

}  // namespace sluice::publish
