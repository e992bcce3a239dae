// The nodes as a table and as JSON.
#include <fmt/format.h>

#include "tests/bench/json_text.hpp"
#include "tests/bench/nodes/study.hpp"

namespace sluice::bench {

void print_nodes(std::FILE* out, const std::vector<NodeRow>& rows, const NodeOptions& options) {
  fmt::print(out,
             "\nContended nodes, deadline {:g} s, {} writes a minute. satisfied: share of a task's records "
             "on time, of the "
             "worst task and on average;\nweight: share of the time in which cpu.weight shares the node; "
             "sum: the most that all "
             "quotas add up to in the rest of it, of the node,\nand in how many looks (10 a second) that is "
             "more than the node\n",
             options.deadline_s, options.writes_per_minute);
  const NodeRow* before = nullptr;
  for (const NodeRow& r : rows) {
    if (!before || before->tasks != r.tasks || before->classes != r.classes) {
      fmt::print(out, "\n{} tasks on {:g} cores{}, overloaded {:.0f} % of the time, uses {:.0f} %\n", r.tasks,
                 r.cores, r.classes ? " in three classes" : "", 100 * r.overloaded_share, 100 * r.used_share);
      fmt::print(out, "{:<20}{:>9}{:>9}{:>9}{:>9}{:>11}{:>8}{:>9}{:>9}{:>9}{:>8}{:>7}{:>7}{:>8}{:>6}\n", "",
                 "late %", "high", "middle", "low", "satisfied", "mean", "p99 s", "quota", "offered",
                 "weight", "sum", "over", "wr/m", "most");
    }
    before = &r;
    const auto& late = r.class_late_share;
    fmt::print(out,
               "{:<20}{:9.3f}{:9.3f}{:9.3f}{:9.3f}{:11.4f}{:8.4f}{:9.2f}{:9.3f}{:9.3f}{:8.2f}{:7.3f}{:7}{:8."
               "1f}{:6}{}{}\n",
               r.visibility.empty() ? r.policy : r.policy + ", " + r.visibility, 100 * r.late_share,
               100 * late[0], 100 * late[1], 100 * late[2], r.satisfaction_least, r.satisfaction_mean,
               r.delay_p99_worst_s, r.quota_to_usage, r.offered_to_usage, r.by_weight_share, r.sum_worst,
               r.sum_violations, r.writes_per_minute, r.writes_worst_minute,
               r.policy == "ours" && r.writes_worst_minute > options.writes_per_minute ? '!' : ' ',
               r.violations > 0 ? fmt::format("  BROKEN: {} plans violated an invariant", r.violations) : "");
  }
}

std::string nodes_json(const std::vector<NodeRow>& rows) {
  return json_array(rows, [](const NodeRow& r) {
    JsonObject out;
    out.whole("tasks", r.tasks)
        .number("cores", r.cores)
        .whole("seed", r.seed)
        .text("policy", r.policy)
        .whole("classes", r.classes ? kClasses.size() : 1)
        .text("visibility", r.visibility)
        .number("overloaded_share", r.overloaded_share)
        .number("late_share", r.late_share)
        .number("late_share_high", r.class_late_share[0])
        .number("late_share_middle", r.class_late_share[1])
        .number("late_share_low", r.class_late_share[2])
        .number("satisfaction_least", r.satisfaction_least)
        .number("satisfaction_mean", r.satisfaction_mean)
        .number("delay_p99_worst_s", r.delay_p99_worst_s)
        .number("quota_to_usage", r.quota_to_usage)
        .number("offered_to_usage", r.offered_to_usage)
        .number("used_share", r.used_share)
        .whole("sum_violations", r.sum_violations)
        .number("sum_worst", r.sum_worst)
        .number("writes_per_minute", r.writes_per_minute)
        .whole("writes_worst_minute", r.writes_worst_minute)
        .whole("plan_violations", r.violations);
    return out.done();
  });
}

}  // namespace sluice::bench
