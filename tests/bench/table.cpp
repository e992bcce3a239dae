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
  std::stable_sort(order.begin(), order.end(), [](const Key& a, const Key& b) {
    return std::tuple(std::get<0>(a) != "ours", std::get<1>(a)) <
           std::tuple(std::get<0>(b) != "ours", std::get<1>(b));
  });
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
  std::vector<const Row*> everything;
  for (std::size_t t = 0; t < traces.size(); ++t) {
    std::vector<const Row*> block;
    double usage = 0;
    for (const Row& r : rows) {
      if (r.trace != t) continue;
      usage = r.figures.usage_cores;
      if (!peers && r.policy != "ours" && r.policy != "oracle") continue;
      block.push_back(&r);
      everything.push_back(&r);
    }
    print_block(out,
                fmt::format("{}: {} ({} s, uses {:.3f} cores)", traces[t].name, traces[t].note,
                            traces[t].cores.size(), usage),
                block, options);
  }
  print_block(out, fmt::format("All {} traces: geometric means, worst late, mean writes", traces.size()),
              everything, options);
}

}  // namespace sluice::bench
