#include "daemon/publish/bus/bus_model.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {

std::uint64_t wall_time(const Report& report, std::uint64_t wall_usec, MonotonicTime at) {
  const auto age = std::chrono::duration_cast<Usec>(report.now - at).count();
  return age > 0 ? wall_usec - std::min(wall_usec, static_cast<std::uint64_t>(age)) : wall_usec;
}

}  // namespace

BusModel::Delta BusModel::update(std::shared_ptr<const Report> report, std::uint64_t wall_usec) {
  Delta delta;
  report_ = std::move(report);
  if (report_->whole) ++generation_;
  // Both are ordered by name, so the hint is nearly always right; where it is wrong it only costs time.
  auto hint = tasks_.begin();
  for (const auto& task : report_->tasks) {
    const auto before = tasks_.size();
    const auto known = tasks_.try_emplace(hint, task.name);
    auto& view = known->second;
    view.report = {report_, &task};
    view.generation = generation_;
    hint = std::next(known);
    if (tasks_.size() == before) continue;
    delta.added.push_back(task.name);
    for (const auto& at : {task.cpu_changed_at, task.memory_changed_at}) {
      if (at) view.changed_usec = std::max(view.changed_usec, wall_time(*report_, wall_usec, *at));
    }
  }
  for (auto known = tasks_.begin(); report_->whole && known != tasks_.end();) {
    if (known->second.generation == generation_) {
      ++known;
    } else {
      delta.removed.push_back(known->first);
      known = tasks_.erase(known);
    }
  }

  for (const auto& adjustment : report_->adjustments) {
    const auto task = tasks_.find(adjustment.task);
    if (task == tasks_.end()) continue;  // changed and gone within a tick; the journal has it
    const Change change{wall_time(*report_, wall_usec, adjustment.at),
                        adjustment.knob,
                        adjustment.old_value,
                        adjustment.new_value,
                        adjustment.reason,
                        adjustment.dry_run};
    auto& view = task->second;
    view.history.push_back(change);
    if (view.history.size() > kHistoryPerTask) view.history.pop_front();
    if (!change.dry_run) view.changed_usec = change.at_usec;
    delta.changes.emplace_back(task->first, change);
  }
  return delta;
}

const TaskView* BusModel::find(std::string_view name) const {
  const auto found = tasks_.find(name);
  return found == tasks_.end() ? nullptr : &found->second;
}

const TaskView* BusModel::find_shown(std::string_view shown) const {
  // Names are plain nearly always; then the escaped name is the name.
  if (const auto* plain = find(shown); plain != nullptr && c_escape(shown) == shown) return plain;
  for (const auto& [name, view] : tasks_) {
    if (c_escape(name) == shown) return &view;
  }
  return nullptr;
}

const HoldReport* BusModel::held(std::string_view task) const {
  const auto& holds = report_->holds;
  const auto found =
      std::find_if(holds.begin(), holds.end(), [&](const auto& hold) { return hold.task == task; });
  return found == holds.end() ? nullptr : &*found;
}

std::vector<std::string> BusModel::owners() const {
  std::set<std::string> owners;
  for (const auto& hold : report_->holds) {
    if (!hold.owner.empty()) owners.insert(hold.owner);
  }
  return {owners.begin(), owners.end()};
}

}  // namespace sluice::publish
