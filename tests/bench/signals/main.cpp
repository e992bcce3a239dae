// sluice-bench-signals: the cost of one walk of the cgroup iterator compared with reading files, for growing
// numbers of cgroups. Needs root. It measures and does not judge: exit status 0 if it could measure,
// otherwise 2.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "tests/bench/signals/costs.hpp"
#include "tests/bench/signals/export.hpp"

namespace {

using namespace sluice::bench_signals;

void write_file(const std::string& name, const std::string& text) {
  if (name.empty()) return;
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  if (!(file << text << std::flush)) throw std::runtime_error("cannot write " + name);
}

void print(const std::vector<Costs>& all) {
  fmt::print("{:>8} {:>16} {:>18} {:>14}\n", "cgroups", "walk ns/cgroup", "open+read : walk", "pread : walk");
  for (const Costs& c : all)
    fmt::print("{:>8} {:>16.0f} {:>18.1f} {:>14.1f}\n", c.cgroups, c.per_sample_ns(), c.open_read_ratio(),
               c.pread_ratio());
  if (all.size() > 1)
    fmt::print("cost of the walk ~ cgroups^{:.3f}; steepest from one count to the next: {:.3f}\n",
               growth_exponent(all), steepest_exponent(all));
  for (const Goal& goal : goals_of(all))
    fmt::print("{}: {} = {:.2f} (goal: at {} {:g})\n", goal.met() ? "met" : "missed", goal.name,
               goal.measured, goal.at_least ? "least" : "most", goal.wanted);
}

}  // namespace

int main(int argc, char** argv) {
  std::string root = "/sys/fs/cgroup", json, plot;
  std::vector<std::size_t> counts = {10, 100, 1000, 10'000};
  int rounds = 12;
  CLI::App app{"The cost of one sample of every cgroup: the kernel's iterator against five files each."};
  app.add_option("--root", root, "a cgroup with cpu and memory for its children; a child is made in it")
      ->capture_default_str();
  app.add_option("--counts", counts, "how many cgroups")
      ->delimiter(',')
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--rounds", rounds, "of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--json", json, "write the results there");
  app.add_option("--plot", plot, "draw them there (SVG)");
  CLI11_PARSE(app, argc, argv);
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());

  try {
    Field field(root);
    std::vector<Costs> all;
    for (const std::size_t count : counts) {
      field.grow_to(count);
      all.push_back(measure(field, rounds));
    }
    print(all);
    write_file(json, to_json(all));
    write_file(plot, to_svg(all));
  } catch (const std::exception& error) {
    fmt::print(stderr, "sluice-bench-signals: {}\n", error.what());
    return 2;
  }
  return 0;
}
