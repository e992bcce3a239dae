// What the bus shows, apart from any bus: the last report, each task's recent changes. It
// outlives connections, so that a bus that comes back shows the same history.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/values/report.hpp"

namespace sluice::publish {

// One adjustment, without the strings that its task has already.
struct Change {
  std::uint64_t at_usec = 0;  // wall clock: for people, and for comparing with other logs
  Knob knob = Knob::cpu_max;
  KnobValue old_value, new_value;
  Reason reason;
  bool dry_run = false;
};

struct TaskView {
  std::shared_ptr<const TaskReport> report;  // the last word on it; set while the task is listed
  std::deque<Change> history;                // newest last
  std::uint64_t changed_usec = 0;            // wall clock of the last change, 0: never
  std::uint64_t generation = 0;              // of the last whole report, which listed it
};

class BusModel {
 public:
  struct Delta {
    std::vector<std::string> removed, added;              // names, in order
    std::vector<std::pair<std::string, Change>> changes;  // of tasks that are listed
  };
  // Takes a report in. A task keeps its history while its name stays listed in whole reports.
  Delta update(std::shared_ptr<const Report> report, std::uint64_t wall_usec);

  [[nodiscard]] const Report& report() const { return *report_; }
  [[nodiscard]] bool has_report() const { return report_->tick != 0 || !report_->tasks.empty(); }
  [[nodiscard]] const std::map<std::string, TaskView, std::less<>>& tasks() const { return tasks_; }
  [[nodiscard]] const TaskView* find(std::string_view name) const;
  // By the name as the bus shows it (escaped), which is what a caller has; nullptr: no such task.
  [[nodiscard]] const TaskView* find_shown(std::string_view shown) const;

  // Pins and suspensions, as the last report has them: for the limit on their number, for NotOwner, and for
  // the pins that end with a connection.
  [[nodiscard]] const HoldReport* held(std::string_view task) const;
  [[nodiscard]] std::size_t holds() const { return report_->holds.size(); }
  [[nodiscard]] std::vector<std::string> owners() const;  // each once

 private:
  std::shared_ptr<const Report> report_ = std::make_shared<Report>();
  std::map<std::string, TaskView, std::less<>> tasks_;
  std::uint64_t generation_ = 0;
};

}  // namespace sluice::publish
