#include "tests/bench/export.hpp"

namespace sluice::bench {
namespace {

std::string trace_json(const Trace& t) {
  return JsonObject()
      .text("name", t.name)
      .whole("seconds", t.cores.size())
      .number("speedup", t.speedup)
      .text("note", t.note)
      .done();
}

std::string row_json(const Row& r, const std::vector<Trace>& traces) {
  const Figures& f = r.figures;
  JsonObject out;
  out.text("trace", traces[r.trace].name)
      .whole("seed", r.seed)
      .text("policy", r.policy)
      .text("setting", r.setting)
      .flag("published", r.published)
      .number("deadline_s", r.deadline_s)
      .whole("writes_budget", r.budget)
      .text("visibility", r.visibility)
      .number("usage_cores", f.usage_cores)
      .number("quota_to_usage", r.quota())
      .number("offered_to_usage", r.offered())
      .number("q10_to_usage", r.q10())
      .number("could10_to_usage", r.could10())
      .number("burst_ratio", r.burst)
      .number("late_share", f.late_share)
      .number("late_above_cap", r.late_above_cap)
      .number("delay_p50_s", f.delay_p50_s)
      .number("delay_p99_s", f.delay_p99_s)
      .number("delay_worst_s", f.delay_worst_s)
      .number("stall_share", f.stall_share)
      .number("writes_per_minute", f.writes_per_minute)
      .whole("writes_worst_minute", f.writes_worst_minute)
      .whole("plan_violations", r.violations);
  return out.done();
}

std::string line_json(const Line& l) {
  JsonObject out;
  out.text("policy", l.policy)
      .text("setting", l.setting)
      .text("visibility", l.visibility)
      .whole("writes_budget", l.budget)
      .number("deadline_s", l.deadline_s)
      .whole("runs", l.runs)
      .number("quota_geometric", l.quota)
      .number("quota_by_cores", l.quota_by_cores)
      .number("offered_geometric", l.offered)
      .number("q10_geometric", l.q10)
      .number("q10_by_cores", l.q10_by_cores)
      .number("could10_geometric", l.could10)
      .number("burst_ratio", l.burst)
      .number("worst_late_above_cap", l.worst_late)
      .whole("late_runs", l.late_traces)
      .number("delay_p50_s", l.delay_p50_s)
      .number("delay_p99_s", l.delay_p99_s)
      .number("delay_worst_s", l.delay_worst_s)
      .number("stall_share", l.stall_share)
      .number("writes_per_minute", l.writes_per_minute)
      .whole("writes_worst_minute", l.writes_worst_minute)
      .number("quota_least_seed", l.quota_least_seed)
      .number("quota_most_seed", l.quota_most_seed);
  if (l.to_oracle) out.number("quota_to_oracle", *l.to_oracle);
  if (l.against_peer) {
    const auto& p = *l.against_peer;
    out.number("saving_by_cores", p.saving)
        .number("q10_saving_by_cores", p.q10_saving)
        .number("q10_to_best_peer", p.q10_ratio)
        .number("worst_quota_to_best_peer", p.worst_ratio)
        .text("worst_quota_trace", p.worst_trace)
        .number("worst_q10_to_best_peer", p.worst_q10_ratio)
        .text("worst_q10_trace", p.worst_q10_trace);
  }
  return out.done();
}

std::string goal_json(const Goal& g) {
  return JsonObject()
      .text("goal", g.what)
      .text("wanted", g.wanted)
      .text("measured", g.measured)
      .flag("met", g.met)
      .done();
}

}  // namespace

std::string goals_json(const std::vector<Goal>& goals) {
  return json_array(goals, goal_json);
}

JsonObject policy_json(const std::vector<Trace>& traces, const std::vector<Row>& rows,
                       const std::vector<Line>& lines, const std::vector<Goal>& goals,
                       const StudyOptions& options) {
  JsonObject conditions;
  conditions.number("cost_usec", options.conditions.cost_usec)
      .number("cost_noise", options.conditions.cost_sigma)
      .number("cap_cores", kCapCores)
      .number("late_allowed", kLateAllowed);
  JsonObject out;
  out.raw("conditions", conditions.done())
      .raw("traces", json_array(traces, trace_json))
      .raw("summary", json_array(lines, line_json))
      .raw("goals", goals_json(goals))
      .raw("runs", json_array(rows, [&](const Row& r) { return row_json(r, traces); }));
  return out;
}

}  // namespace sluice::bench
