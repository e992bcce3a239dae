// One task on the bus: /org/sluice/Governor1/task/NAME, interface org.sluice.Governor1.Task.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/changed_properties.hpp"
#include "daemon/publish/bus/object_context.hpp"

namespace sluice::publish {

class TaskObject {
 public:
  // `view` must stay where it is while the object lives.
  TaskObject(sdbus::IConnection& bus, const ObjectContext& context, std::string name, const TaskView& view);
  ~TaskObject();
  TaskObject(const TaskObject&) = delete;
  TaskObject& operator=(const TaskObject&) = delete;

  void announce();                           // InterfacesAdded
  void retract();                            // InterfacesRemoved
  void emit_adjusted(const Change& change);  // Adjusted, or Recommended in dry-run
  void emit_changes();                       // PropertiesChanged, if anything did

 private:
  using Work = std::function<void(const Caller&)>;
  void export_methods(sdbus::IObject& object);
  void gated(sdbus::Result<>&& result, Work work, std::string rate_key = {});
  [[nodiscard]] compat::Dictionary explain() const;
  [[nodiscard]] compat::Dictionary statistics() const;
  using HistoryRow =
      sdbus::Struct<std::uint64_t, std::string, std::uint64_t, std::uint64_t, std::string, std::string>;
  [[nodiscard]] std::vector<HistoryRow> history(std::uint64_t since_usec, std::uint32_t limit) const;

  const ObjectContext& context_;
  const std::string name_;
  const TaskView& view_;
  ChangedProperties changed_;
  std::unique_ptr<sdbus::IObject> object_;
};

}  // namespace sluice::publish
