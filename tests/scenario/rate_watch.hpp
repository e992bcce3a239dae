// Checks rate policies from outside: from the writes and their times only, by the literal configuration,
// without the policy's own code.
#pragma once

#include <rapidcheck.h>

#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {

class RateWatch {
 public:
  explicit RateWatch(const GovernedHost& host) : g_(host) {}

  // For GovernedHost::on_tick.
  void operator()(const Input& in, const Plan& plan) {
    for (const auto& o : in.tasks) {
      const auto begin = [&](Knob knob, double value) {
        seen_.try_emplace({o.facts.id, knob}, Seen{{{in.now, value}}, true, {}, {}});
      };
      if (o.sample && o.sample->cpu_max) begin(Knob::cpu_max, cores_of(*o.sample->cpu_max));
      if (o.sample && o.sample->memory_high) begin(Knob::memory_high, bytes_of(*o.sample->memory_high));
    }
    for (const auto& r : in.receipts) follow(r);
    for (const auto& n : g_.report.notices) {
      const bool drift = n.kind == Notice::Kind::foreign_write || n.kind == Notice::Kind::knob_reset;
      if (drift) seen_[{n.id, Knob::cpu_max}] = seen_[{n.id, Knob::memory_high}] = {};
    }
    std::map<Knob, double> hasty;
    for (const auto& w : plan.writes) judge(w, in.now, hasty);
    // A cut may exceed its policy only if the node would otherwise be overcommitted.
    for (const auto& [knob, beyond] : hasty) {
      const double capacity =
          knob == Knob::cpu_max ? in.node.cpu_capacity_cores : static_cast<double>(in.node.memory_capacity);
      contested += sum_after(plan, knob) + beyond > 0.998 * capacity ? 0 : 1;
    }
  }
  std::size_t judged = 0, at_the_limit = 0;
  std::size_t contested = 0;  // violations here that the governor's own invariant does not report

 private:
  struct Seen {
    std::map<MonotonicTime, double> values;  // from then on; empty: unknown, or no limit
    bool from_the_start = false;             // no earlier value counts
    std::optional<MonotonicTime> raised, cut;
  };

  void follow(const Receipt& r) {
    Seen& seen = seen_[{r.id, r.knob}];
    if (r.result == Receipt::Result::timed_out) seen = {};  // the knob may hold the old or the new value
    if (r.result != Receipt::Result::written) return;
    if (anothers_[{r.id, r.knob}]) seen = {{}, true, {}, {}};
    seen.values[r.finished_at] = number_of(r.holds.value_or(r.asked));
  }

  static double at(const Seen& seen, MonotonicTime time) {
    const auto next = seen.values.upper_bound(time);
    return next == seen.values.begin() ? next->second : std::prev(next)->second;
  }

  // True if one policy permits a change of this size, or all of them, as select_policy requires.
  static bool allowed(const config::ScalingRules& rules, const Seen& seen, MonotonicTime now, double to,
                      double way, double slack) {
    std::size_t allowing = 0;
    for (const auto& p : rules.policies) {
      if (!seen.from_the_start && now - p.period < seen.values.begin()->first) return true;  // unknown
      const double start = at(seen, now - p.period);
      const double most = p.type == config::ChangeType::percent ? start * p.value / 100 : p.value;
      allowing += way * (to - start) <= most + slack ? 1 : 0;
    }
    if (rules.select_policy == config::SelectPolicy::min) return allowing == rules.policies.size();
    return rules.policies.empty() || allowing > 0;
  }

  void judge(const Write& w, MonotonicTime now, std::map<Knob, double>& hasty) {
    const auto key = std::pair{w.id, w.knob};
    const bool release = w.reason.rule == Rule::released;
    anothers_[key] = release;
    if (release) return;
    const auto& policy = rule_of(g_.state.tasks.at(w.id).facts, g_.config).policy;
    const bool cpu = w.knob == Knob::cpu_max;
    const auto& scaling = cpu ? policy.cpu.scaling : policy.memory.scaling;
    Seen& seen = seen_[key];
    const double to = number_of(w.value);
    if (seen.values.empty()) return;
    if (std::isinf(seen.values.rbegin()->second)) {
      // No policy prevents the first limit if a maximum requires it.
      const bool asked_for = cpu ? policy.cpu.max_cores.has_value() : policy.memory.max_bytes.has_value();
      RC_ASSERT(asked_for || scaling.down.select_policy != config::SelectPolicy::disabled);
      seen = {{}, true, {}, {}};  // the first limit
      return;
    }
    const double from = seen.values.rbegin()->second;
    const bool raise = to > from;
    const bool bound = w.reason.rule == Rule::bound;
    const bool urgent = bound || w.reason.rule == Rule::memory_floor ||
                        w.reason.rule == Rule::memory_futile || w.reason.rule == Rule::reasserted;
    if (!urgent && to != from) {
      const auto& rules = raise ? scaling.up : scaling.down;
      // Otherwise a small percentage could never move a whole step.
      const double way = raise ? 1 : -1, slack = cpu ? 0.003 + policy.cpu.step_cores : 8192;
      const auto& opposite = raise ? seen.cut : seen.raised;
      const bool settled = !opposite || now - *opposite >= rules.stabilization;
      const bool right = rules.select_policy != config::SelectPolicy::disabled && settled &&
                         allowed(rules, seen, now, to, way, slack);
      ++judged;
      at_the_limit += w.reason.clamped_rate ? 1 : 0;
      if (!right) {
        if (raise || !w.reason.clamped_capacity) {
          ++contested;
        } else {
          hasty[w.knob] += from - to;
        }
      }
    }
    // A cut for lack of capacity and a move into the bounds are not wanted by the controller.
    if (!bound && (raise || !w.reason.clamped_capacity)) (raise ? seen.raised : seen.cut) = now;
  }

  double sum_after(const Plan& plan, Knob knob) const {
    double sum = 0;
    for (const auto& [id, t] : g_.state.tasks) {
      const KnobState& k = knob == Knob::cpu_max ? t.cpu : t.memory;
      double v =
          std::max(number_of(k.limit.value()), k.limit.order() ? number_of(k.limit.order()->value) : 0.0);
      for (const auto& w : plan.writes) {
        if (w.id == id && w.knob == knob) v = number_of(w.value);
      }
      sum += std::isinf(v) ? 0 : v;
    }
    return sum;
  }

  const GovernedHost& g_;
  std::map<std::pair<CgroupId, Knob>, Seen> seen_;
  std::map<std::pair<CgroupId, Knob>, bool> anothers_;  // the write in flight is a release
};

}  // namespace sluice::testing
