#include "tests/bench/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace sluice::bench {
namespace {

struct Cell {
  double log_quota = 0, log_q10 = 0, late = -1, writes = 0;
  std::size_t n = 0, most_writes = 0;

  void add(const Row& r) {
    log_quota += std::log(r.quota());
    log_q10 += std::log(r.q10());
    late = std::max(late, r.late_above_cap);
    writes += r.figures.writes_per_minute;
    most_writes = std::max(most_writes, r.figures.writes_worst_minute);
    ++n;
  }
  std::string text(bool with_budget, std::uint32_t budget) const {
    const auto count = static_cast<double>(n);
    const bool over = with_budget && most_writes > budget;
    return fmt::format("{:7.3f}{:7.2f}{:8.3f}{}{:6.1f}{}", std::exp(log_quota / count),
                       std::exp(log_q10 / count), 100 * late, late > kLateAllowed ? '!' : ' ', writes / count,
                       over ? '!' : ' ');
  }
};

using Key = std::tuple<std::string, std::string, std::uint32_t>;  // policy and setting, visibility, budget

void print_block(std::FILE* out, const std::string& title, const std::vector<const Row*>& rows,
                 const StudyOptions& options) {
  fmt::print(out, "\n{}\n{:<34}", title, "");
  for (const double d : options.deadlines) fmt::print(out, " | {:<30}", fmt::format("d = {:g} s", d));
  fmt::print(out, "\n{:<34}", "policy, visibility, writes/min");
  for (std::size_t i = 0; i < options.deadlines.size(); ++i)
    fmt::print(out, " |  quota    q10   late %  wr/m ");
  fmt::print(out, "\n");
  std::map<Key, std::map<double, Cell>> cells;
  std::vector<Key> order;
  for (const Row* r : rows) {
    const std::string name =
        r->setting.empty() || r->policy == "oracle" ? r->policy : r->policy + " " + r->setting;
    const Key key{name, r->visibility, r->budget};
    if (!cells.contains(key)) order.push_back(key);
    cells[key][r->deadline_s].add(*r);
  }
  const auto rank = [](const Key& key) {
    const auto& name = std::get<0>(key);
    return std::tuple(!name.starts_with("ours"), name.starts_with("ours") ? name : "", std::get<1>(key));
  };
  std::stable_sort(order.begin(), order.end(), [&](const Key& a, const Key& b) { return rank(a) < rank(b); });
  for (const Key& key : order) {
    const auto& [name, visibility, budget] = key;
    const std::string label = budget > 0 ? fmt::format("{} {} {}", name, visibility, budget) : name;
    fmt::print(out, "{:<34}", label);
    for (const double d : options.deadlines) {
      const auto found = cells[key].find(d);
      fmt::print(
          out, " |{}",
          found == cells[key].end() ? std::string(30, ' ') : found->second.text(visibility != "", budget));
    }
    fmt::print(out, "\n");
  }
}

}  // namespace

void print_runs(std::FILE* out, const std::vector<Trace>& traces, const std::vector<Row>& rows,
                const StudyOptions& options, bool peers) {
  fmt::print(
      out,
      "quota, q10: ratio to usage. late: % of records above what is late at the cap (! above {:g} %).\n"
      "wr/m: writes a minute (! a minute over the budget).\n",
      100 * kLateAllowed);
  for (std::size_t t = 0; t < traces.size(); ++t) {
    std::vector<const Row*> block;
    double usage = 0;
    for (const Row& r : rows) {
      if (r.trace != t) continue;
      usage = r.figures.usage_cores;
      if (!peers && r.policy != "ours" && r.policy != "oracle") continue;
      block.push_back(&r);
    }
    print_block(out,
                fmt::format("{}: {} ({} s, uses {:.3f} cores)", traces[t].name, traces[t].note,
                            traces[t].cores.size(), usage),
                block, options);
  }
}

void print_summary(std::FILE* out, const std::vector<Line>& lines, const StudyOptions& options) {
  for (const double d : options.deadlines) {
    fmt::print(
        out,
        "\nAll traces, deadline {:g} s. Geometric means; (c): core-weighted; late: of the worst trace, above "
        "the "
        "cap's "
        "own\n{:<38}{:>8}{:>9}{:>8}{:>8}{:>8}{:>8}{:>10}{:>7}{:>7}{:>7}{:>8}{:>7}{:>6}{:>7}{:>8}{:>9}{:>9}\n",
        d, "", "quota", "(c)", "offered", "q10", "q10(c)", "could10", "late %", "p50 s", "p99 s", "worst",
        "stall %", "wr/m", "most", "/ Ow", "saving", "worst/p", "q10 w/p");
    for (const Line& l : lines) {
      if (l.deadline_s != d) continue;
      const std::string name = l.policy == "ours"
                                   ? fmt::format("ours{}{}, {}, {} writes", l.setting.empty() ? "" : ", ",
                                                 l.setting, l.visibility, l.budget)
                               : l.policy == "oracle" ? fmt::format("oracle, {} writes", l.budget)
                                                      : fmt::format("{}, {}", l.policy, l.setting);
      fmt::print(out,
                 "{:<38}{:8.3f}{:9.3f}{:8.3f}{:8.2f}{:8.2f}{:8.2f}{:9.3f}{}{:7.3f}{:7.2f}{:7.1f}{:8.1f}{:7."
                 "1f}{:5}{}",
                 name, l.quota, l.quota_by_cores, l.offered, l.q10, l.q10_by_cores, l.could10,
                 100 * l.worst_late, l.worst_late > kLateAllowed ? '!' : ' ', l.delay_p50_s, l.delay_p99_s,
                 l.delay_worst_s, 100 * l.stall_share, l.writes_per_minute, l.writes_worst_minute,
                 l.policy == "ours" && l.writes_worst_minute > l.budget ? '!' : ' ');
      if (l.to_oracle) fmt::print(out, "{:7.3f}", *l.to_oracle);
      if (l.against_peer) {
        fmt::print(out, "{}{:7.1f}%{:9.3f}{:9.3f}", l.to_oracle ? "" : "       ",
                   100 * l.against_peer->saving, l.against_peer->worst_ratio,
                   l.against_peer->worst_q10_ratio);
      }
      if (l.quota_most_seed > l.quota_least_seed) {
        fmt::print(out, "  seeds {:.3f} .. {:.3f}", l.quota_least_seed, l.quota_most_seed);
      }
      if (l.violations > 0) fmt::print(out, "  BROKEN: {} plans violated an invariant", l.violations);
      fmt::print(out, "\n");
    }
  }
}

void print_goals(std::FILE* out, const std::vector<Goal>& goals) {
  std::size_t met = 0;
  fmt::print(out, "\nGoals of CONTROL.md\n");
  for (const Goal& g : goals) {
    met += g.met ? 1 : 0;
    fmt::print(out, "{:<72}{:>10}{:>12}  {}\n", g.what, g.wanted, g.measured, g.met ? "met" : "MISSED");
  }
  fmt::print(out, "{} of {} met\n", met, goals.size());
}

}  // namespace sluice::bench
