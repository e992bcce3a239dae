// sluice-bench: judges policies against each other on the simulated host. It measures, it does not judge:
// exit 0 whenever it could run, 2 when it could not.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>

#include "tests/bench/export.hpp"
#include "tests/bench/table.hpp"

namespace {

using namespace sluice::bench;

struct PolicyArguments {
  std::string traces, json, plot, only;
  TraceOptions trace_options;
  StudyOptions study;
  std::vector<std::string> policies;
  std::uint64_t seed = 1;
  std::uint32_t seeds = 1;
  bool quick = false;
  bool all_runs = false;
};

void add_options(CLI::App& app, PolicyArguments& a) {
  app.add_option("--traces", a.traces, "Folder of *.csv with rows 't_s,value'; none: generated shapes");
  app.add_option("--json", a.json, "Write every run and every mean to this file");
  app.add_option("--plot", a.plot, "Write a picture (SVG) to this file");
  app.add_option("--speedup", a.trace_options.speedup,
                 "Compress time; default: a series with rows more than 10 s apart runs at one row a second")
      ->check(CLI::PositiveNumber);
  app.add_option("--scale-to-cores", a.trace_options.peak_cores, "Work of the busiest second")
      ->check(CLI::Range(0.05, 64.0))
      ->capture_default_str();
  app.add_option("--cost", a.study.conditions.cost_usec, "CPU of a record, usec")
      ->check(CLI::Range(100.0, 1e6))
      ->capture_default_str();
  app.add_option("--cost-noise", a.study.conditions.cost_sigma,
                 "Sigma of the lognormal work per record; 0: all alike")
      ->check(CLI::Range(0.0, 3.0))
      ->capture_default_str();
  app.add_option("--deadline", a.study.deadlines, "Seconds; may be repeated")
      ->check(CLI::Range(0.05, 600.0))
      ->default_str("0.25 1 5");
  app.add_option("--budget", a.study.budgets, "Writes a minute; may be repeated")
      ->check(CLI::Range(1, 600))
      ->default_str("20 60");
  app.add_option("--seconds", a.trace_options.seconds, "Longer traces are cut to this, around their peak")
      ->check(CLI::Range(90, 1'000'000))
      ->capture_default_str();
  app.add_option("--policies", a.policies, "Only these: ours, oracle, or peers by name")->delimiter(',');
  app.add_option("--only", a.only, "Only traces whose name contains this");
  app.add_option("--seed", a.seed, "Of arrivals and work")->capture_default_str();
  app.add_option("--seeds", a.seeds, "Run this many seeds, from --seed on")->check(CLI::Range(1, 1'000));
  app.add_option("--jobs", a.study.jobs, "Threads")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_flag("--quick", a.quick, "Ten minutes around each trace's peak instead of an hour");
  app.add_flag("--runs", a.all_runs, "Print every run of the peers too");
}

int fail(const std::string& message) {
  fmt::print(stderr, "sluice-bench: {}\n", message);
  return 2;
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::trunc);
  out << text;
  out.close();
  return !out.fail();
}

int run_policy(PolicyArguments& a) {
  if (a.quick) a.trace_options.seconds = 600;
  a.study.policies = {a.policies.begin(), a.policies.end()};
  std::vector<std::string> skipped;
  auto traces = a.traces.empty() ? generated_traces(a.trace_options, a.seed) : std::vector<Trace>{};
  if (!a.traces.empty()) {
    auto read = read_traces(a.traces, a.trace_options, skipped);
    if (!read) return fail(read.error());
    traces = std::move(*read);
  }
  std::erase_if(traces, [&](const Trace& t) { return t.name.find(a.only) == std::string::npos; });
  if (traces.empty()) return fail(fmt::format("--only {}: no trace has that in its name", a.only));
  for (const auto& s : skipped) fmt::print("left out {}\n", s);

  const auto began = std::chrono::steady_clock::now();
  std::vector<Row> rows;
  for (std::uint64_t seed = a.seed; seed < a.seed + a.seeds; ++seed) {
    a.study.conditions.seed = seed;
    auto more = run_study(traces, a.study);
    rows.insert(rows.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const auto lines = summarise(traces, rows);
  const auto judged = goals(lines);
  print_runs(stdout, traces, rows, a.study, a.all_runs);
  print_summary(stdout, lines, a.study);
  if (!judged.empty()) print_goals(stdout, judged);
  if (!a.json.empty() && !write_file(a.json, to_json(traces, rows, lines, judged, a.study))) {
    return fail(fmt::format("{}: cannot be written", a.json));
  }
  if (!a.plot.empty() && !write_file(a.plot, to_svg(lines)))
    return fail(fmt::format("{}: cannot be written", a.plot));
  fmt::print("\n{} runs in {:.1f} s\n", rows.size(), took.count());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Judges resource policies on the simulated host"};
  app.require_subcommand(1);
  PolicyArguments arguments;
  auto* policy =
      app.add_subcommand("policy", "CPU quotas: ours, the peers and the oracle, on the same traces");
  add_options(*policy, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  try {
    return run_policy(arguments);
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
