#include "tests/bench/summary.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace sluice::bench {
namespace {

using Rows = std::vector<const Row*>;
using Case = std::pair<std::size_t, std::uint64_t>;  // trace, seed

Case case_of(const Row& r) {
  return {r.trace, r.seed};
}
bool is_peer(const Row& r) {
  return r.policy != "ours" && r.policy != "oracle";
}

// Geometric mean of a positive figure over rows.
template <typename F>
double geometric(const Rows& rows, F figure) {
  double sum = 0;
  for (const Row* r : rows) sum += std::log(figure(*r));
  return std::exp(sum / static_cast<double>(rows.size()));
}

Line line_of(const Rows& rows) {
  Line out;
  const Row& first = *rows.front();
  out.policy = first.policy;
  out.visibility = first.visibility;
  out.budget = first.budget;
  out.burst = first.burst;
  if (first.policy == "ours") out.setting = first.setting;
  out.deadline_s = first.deadline_s;
  out.runs = rows.size();
  out.quota = geometric(rows, [](const Row& r) { return r.quota(); });
  out.offered = geometric(rows, [](const Row& r) { return r.offered(); });
  out.q10 = geometric(rows, [](const Row& r) { return r.q10(); });
  out.could10 = geometric(rows, [](const Row& r) { return r.could10(); });
  double usage = 0;
  std::map<std::uint64_t, Rows> by_seed;
  const double n = static_cast<double>(rows.size());
  for (const Row* r : rows) {
    const Figures& f = r->figures;
    usage += f.usage_cores;
    out.quota_by_cores += f.quota_cores;
    out.q10_by_cores += f.q10_cores;
    out.worst_late = std::max(out.worst_late, r->late_above_cap);
    out.late_traces += r->late_above_cap > kLateAllowed ? 1 : 0;
    out.delay_p50_s += f.delay_p50_s / n;
    out.delay_p99_s += f.delay_p99_s / n;
    out.delay_worst_s = std::max(out.delay_worst_s, f.delay_worst_s);
    out.stall_share += f.stall_share / n;
    out.writes_per_minute += f.writes_per_minute / n;
    out.writes_worst_minute = std::max(out.writes_worst_minute, f.writes_worst_minute);
    out.violations += r->violations;
    by_seed[r->seed].push_back(r);
  }
  out.quota_by_cores /= usage;
  out.q10_by_cores /= usage;
  out.quota_least_seed = out.quota_most_seed = out.quota;
  for (const auto& [seed, of_seed] : by_seed) {
    const double quota = geometric(of_seed, [](const Row& r) { return r.quota(); });
    out.quota_least_seed = std::min(out.quota_least_seed, quota);
    out.quota_most_seed = std::max(out.quota_most_seed, quota);
  }
  return out;
}

// The cheapest row with at most this late share, or the least late one if there is none.
template <typename F>
const Row* best(const Rows& rows, double late, F figure) {
  const Row* out = nullptr;
  for (const Row* r : rows) {
    const auto rank = [&](const Row& x) {
      const bool on_time = x.late_above_cap <= late;
      return std::tuple(!on_time, on_time ? figure(x) : x.late_above_cap, figure(x));
    };
    if (out == nullptr || rank(*r) < rank(*out)) out = r;
  }
  return out;
}

class Summary {
 public:
  Summary(const std::vector<Trace>& traces, const std::vector<Row>& rows) : traces_(traces) {
    for (const Row& r : rows) by_deadline_[r.deadline_s].push_back(&r);
  }

  std::vector<Line> lines() {
    std::vector<Line> out;
    for (const auto& [deadline, rows] : by_deadline_) {
      std::map<std::tuple<double, std::string, std::uint32_t>, Rows> ours;  // burst, visibility, budget
      std::map<std::uint32_t, std::map<Case, const Row*>> oracles;
      std::vector<std::string> peers;
      std::map<std::string, std::map<Case, Rows>> by_peer;
      std::map<Case, Rows> any_peer;
      for (const Row* r : rows) {
        if (r->policy == "ours") ours[{r->burst, r->visibility, r->budget}].push_back(r);
        if (r->policy == "oracle") oracles[r->budget][case_of(*r)] = r;
        if (!is_peer(*r)) continue;
        if (!by_peer.contains(r->policy)) peers.push_back(r->policy);
        by_peer[r->policy][case_of(*r)].push_back(r);
        any_peer[case_of(*r)].push_back(r);
      }
      for (const auto& [key, of_ours] : ours) {
        Line line = line_of(of_ours);
        if (!any_peer.empty()) line.against_peer = against(of_ours, any_peer);
        if (const auto ow = oracles.find(std::get<2>(key)); ow != oracles.end()) {
          line.to_oracle = geometric(
              of_ours, [&](const Row& r) { return r.quota() / ow->second.at(case_of(r))->quota(); });
        }
        out.push_back(std::move(line));
      }
      for (const auto& [budget, of_oracle] : oracles) {
        Rows all;
        for (const auto& [which, r] : of_oracle) all.push_back(r);
        out.push_back(line_of(all));
      }
      for (const auto& peer : peers) add_peer(by_peer[peer], out);
      if (!any_peer.empty()) out.push_back(line_of_best(any_peer, "best peer", "of each trace"));
    }
    return out;
  }

 private:
  static Line line_of_best(const std::map<Case, Rows>& cases, const std::string& policy,
                           const std::string& setting) {
    Rows chosen;
    for (const auto& [which, rows] : cases) {
      chosen.push_back(best(rows, kLateAllowed, [](const Row& r) { return r.quota(); }));
    }
    Line out = line_of(chosen);
    out.policy = policy;
    out.setting = setting;
    return out;
  }

  static void add_peer(const std::map<Case, Rows>& cases, std::vector<Line>& out) {
    Rows published;
    for (const auto& [which, rows] : cases) {
      std::copy_if(rows.begin(), rows.end(), std::back_inserter(published),
                   [](const Row* r) { return r->published; });
    }
    out.push_back(line_of(published));
    out.back().setting = "published";
    out.push_back(line_of_best(cases, published.front()->policy, "best"));
  }

  Line::AgainstPeer against(const Rows& ours, const std::map<Case, Rows>& peers) const {
    Line::AgainstPeer out;
    double quota = 0, q10 = 0, peer_quota = 0, peer_q10 = 0, log_q10 = 0;
    for (const Row* r : ours) {
      const double late = std::max(kLateAllowed, r->late_above_cap);
      const Rows& rivals = peers.at(case_of(*r));
      const double best_quota =
          best(rivals, late, [](const Row& x) { return x.quota(); })->figures.quota_cores;
      const double best_q10 = best(rivals, late, [](const Row& x) { return x.q10(); })->figures.q10_cores;
      quota += r->figures.quota_cores;
      q10 += r->figures.q10_cores;
      peer_quota += best_quota;
      peer_q10 += best_q10;
      const double ratio = r->figures.quota_cores / best_quota;
      const double q10_ratio = r->figures.q10_cores / best_q10;
      log_q10 += std::log(q10_ratio);
      if (ratio > out.worst_ratio) {
        out.worst_ratio = ratio;
        out.worst_trace = traces_[r->trace].name;
      }
      if (q10_ratio > out.worst_q10_ratio) {
        out.worst_q10_ratio = q10_ratio;
        out.worst_q10_trace = traces_[r->trace].name;
      }
    }
    out.saving = 1 - quota / peer_quota;
    out.q10_saving = 1 - q10 / peer_q10;
    out.q10_ratio = std::exp(log_q10 / static_cast<double>(ours.size()));
    return out;
  }

  const std::vector<Trace>& traces_;
  std::map<double, Rows> by_deadline_;
};

}  // namespace

std::vector<Line> summarise(const std::vector<Trace>& traces, const std::vector<Row>& rows) {
  return Summary(traces, rows).lines();
}

}  // namespace sluice::bench
