// The properties of org.sluice.Governor1.Manager, each once; see task_properties.hpp for what is announced.
#pragma once

#include <string>
#include <vector>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/object_context.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

inline std::string state_name(const ObjectContext& context) {
  if (context.facts.stopping) return "stopping";
  if (!context.model.has_report()) return "starting";
  return context.model.report().node.suspended ? "suspended" : "running";
}

inline std::vector<sdbus::ObjectPath> task_paths(const BusModel& model) {
  std::vector<sdbus::ObjectPath> paths;
  paths.reserve(model.tasks().size());
  for (const auto& [name, view] : model.tasks()) paths.emplace_back(task_path(name));
  return paths;
}

// Calls visit(name, Emits, getter) for each; a getter is Value(const ObjectContext&).
template <class Visit>
void visit_manager_properties(Visit&& visit) {
  using compat::Emits;
  using C = const ObjectContext&;
  using std::string;
  using u64 = std::uint64_t;
  static constexpr auto node = [](C c) -> const NodeReport& { return c.model.report().node; };

  visit("Version", Emits::yes, [](C c) { return c.facts.version; });
  visit("Mode", Emits::yes, [](C c) { return string(mode_name(node(c).mode)); });
  visit("State", Emits::yes, [](C c) { return state_name(c); });
  visit("SuspendReason", Emits::yes, [](C c) { return printable_line(node(c).suspend_reason); });
  visit("Capabilities", Emits::yes, [](C c) { return c.facts.capabilities; });
  visit("Tasks", Emits::yes, [](C c) { return task_paths(c.model); });
  visit("SamplingMode", Emits::yes, [](C c) { return string(source_name(c.facts.sampling)); });
  visit("SamplingReason", Emits::yes, [](C c) { return printable_line(c.facts.sampling_reason); });
  visit("LastError", Emits::yes, [](C c) { return printable_line(c.facts.last_error); });
  visit("CPUCapacityUSecPerSec", Emits::yes, [](C c) { return usec_value(node(c).cpu_capacity_cores); });
  visit("MemoryCapacity", Emits::yes, [](C c) { return u64{node(c).memory_capacity}; });
  visit("Saturated", Emits::yes, [](C c) { return node(c).saturated; });

  visit("CPUAllocatedUSecPerSec", Emits::no, [](C c) { return usec_value(node(c).cpu_allocated_cores); });
  visit("MemoryAllocated", Emits::no, [](C c) { return u64{node(c).memory_allocated}; });
  visit("MissingCPUUSecPerSec", Emits::no, [](C c) { return usec_value(node(c).cpu_missing_cores); });
  visit("MissingMemory", Emits::no, [](C c) { return u64{node(c).memory_missing}; });
  visit("TicksTotal", Emits::no, [](C c) { return node(c).ticks; });
  visit("EventsTotal", Emits::no, [](C c) { return node(c).events_total; });
  visit("EventsLost", Emits::no, [](C c) { return c.facts.events_lost; });
  visit("WritesTotal", Emits::no, [](C c) { return node(c).writes_total; });
}

}  // namespace sluice::publish
