// The governor itself on the bus: /org/sluice/Governor1, interface org.sluice.Governor1.Manager.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/changed_properties.hpp"
#include "daemon/publish/bus/object_context.hpp"

namespace sluice::publish {

class ManagerObject {
 public:
  ManagerObject(sdbus::IConnection& bus, const ObjectContext& context);
  ~ManagerObject();
  ManagerObject(const ManagerObject&) = delete;
  ManagerObject& operator=(const ManagerObject&) = delete;

  void emit_task_added(const std::string& name);
  void emit_task_removed(const std::string& name);
  // Saturated and ModeChanged when they did, at once.
  void emit_node_signals();
  void emit_changes();  // PropertiesChanged, if anything did

 private:
  using PlanRow = sdbus::Struct<std::string, std::string, std::uint64_t, std::string, std::string>;
  void export_properties(class ManagerExport& interface);
  void export_methods(class ManagerExport& interface);
  void reload(sdbus::Result<>&& result);
  [[nodiscard]] std::string task_of(const std::string& process) const;
  [[nodiscard]] std::vector<PlanRow> plan() const;
  [[nodiscard]] compat::Dictionary statistics() const;

  const ObjectContext& context_;
  ChangedProperties changed_;
  bool saturated_ = false;
  std::string mode_;
  // Outlived by nothing: a reload's answer may come after the connection is gone.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  std::unique_ptr<sdbus::IObject> object_;
};

}  // namespace sluice::publish
