// sluice-bench: compares policies on the simulated host. It measures and does not judge: exit status 0 if it
// could run, otherwise 2.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>

#include "tests/bench/export.hpp"
#include "tests/bench/forecast/study.hpp"
#include "tests/bench/hour/hour.hpp"
#include "tests/bench/memory/study.hpp"
#include "tests/bench/nodes/study.hpp"
#include "tests/bench/peer.hpp"
#include "tests/bench/shapes/study.hpp"
#include "tests/bench/table.hpp"

namespace {

using namespace sluice::bench;

struct Arguments {
  std::string traces, json, plot, only;
  TraceOptions load;
  MemoryTraceOptions memory;
  StudyOptions study;
  std::vector<std::string> policies, parts;
  std::vector<double> bursts;
  std::uint64_t seed = 1;
  std::uint32_t seeds = 1;
  bool quick = false, all_runs = false, all_memory = false;
};

void add_options(CLI::App& app, Arguments& a) {
  app.add_option("--traces", a.traces, "Folder of *.csv with rows 't_s,value'; none: generated shapes");
  app.add_option("--json", a.json, "Write every run and every mean to this file");
  app.add_option("--plot", a.plot, "Write a picture (SVG) to this file");
  app.add_option(
         "--speedup", a.load.speedup,
         "Compress time; default: a load with rows more than 10 s apart runs at one row a second, memory as "
         "much as it takes to fit into two hours, at most ten times")
      ->check(CLI::PositiveNumber);
  app.add_option("--scale-to-cores", a.load.peak_cores, "Work of the busiest second")
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
  app.add_option("--burst", a.bursts, "Ours also with cpu.burst as this ratio of the quota; may be repeated")
      ->check(CLI::Range(0.01, 1.0));
  app.add_option("--seconds", a.load.seconds, "Longer loads are cut to this, around their peak")
      ->check(CLI::Range(90, 1'000'000))
      ->capture_default_str();
  app.add_option("--cold-share", a.memory.cold_share,
                 "Of what a recorded task keeps in memory: page cache that nobody reads again")
      ->check(CLI::Range(0.0, 0.85))
      ->capture_default_str();
  app.add_flag("--mib", a.all_memory, "Every series counts MiB of memory, whatever its column is called");
  app.add_option("--policies", a.policies,
                 "Only these: ours, oracle, or peers by name; implies --parts cpu, and no peers of memory")
      ->delimiter(',');
  app.add_option("--only", a.only, "Only traces whose name contains this");
  app.add_option("--seed", a.seed, "Of arrivals and work")->capture_default_str();
  app.add_option("--seeds", a.seeds, "Run this many seeds, from --seed on")->check(CLI::Range(1, 1'000));
  app.add_option("--jobs", a.study.jobs, "Threads")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_flag("--quick", a.quick,
               "Ten minutes around each trace's peak instead of an hour, and shorter nodes");
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

// Checked before minutes of work.
bool writable(const std::string& path) {
  return path.empty() || std::ofstream(path, std::ios::app).good();
}

std::string unknown_policy(const Arguments& a) {
  std::set<std::string> known{"ours", "oracle"};
  for (const auto& setting : peer_settings({})) known.insert(setting.peer);
  for (const auto& policy : a.policies) {
    if (known.contains(policy)) continue;
    std::string all;
    for (const auto& name : known) all += (all.empty() ? "" : ", ") + name;
    return fmt::format("--policies: '{}' is none of {}", policy, all);
  }
  return {};
}

class Judge {
 public:
  explicit Judge(Arguments& a) : a_(a) {}

  int run() {
    for (const auto& path : {a_.json, a_.plot}) {
      if (!writable(path)) return fail(fmt::format("{}: cannot be written", path));
    }
    if (const auto unknown = unknown_policy(a_); !unknown.empty()) return fail(unknown);
    if (a_.quick) {
      a_.load.seconds = std::min<std::size_t>(a_.load.seconds, 600);
      a_.memory.seconds = 1'800;
    }
    a_.memory.speedup = a_.load.speedup;
    a_.study.bursts.insert(a_.study.bursts.end(), a_.bursts.begin(), a_.bursts.end());
    a_.study.policies = {a_.policies.begin(), a_.policies.end()};
    if (const auto problem = gather(); !problem.empty()) return fail(problem);
    if (wants("hour")) return draw_hour();
    const auto began = std::chrono::steady_clock::now();
    if (wants("cpu") && !loads_.empty()) judge_cpu();
    if (wants("nodes") && !loads_.empty()) judge_nodes();
    if (wants("shapes") && !loads_.empty()) judge_shapes();
    if (wants("forecast") && !loads_.empty()) judge_forecasts();
    if (wants("memory") && !memories_.empty()) judge_memory();
    if (!goals_.empty()) print_goals(stdout, goals_);
    if (!a_.json.empty() && !write_file(a_.json, json_.done() + "\n")) {
      return fail(fmt::format("{}: cannot be written", a_.json));
    }
    if (!a_.plot.empty() && !write_file(a_.plot, to_svg(lines_))) {
      return fail(fmt::format("{}: cannot be written", a_.plot));
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    fmt::print("\n{} runs in {:.1f} s\n", runs_, took.count());
    return 0;
  }

 private:
  bool wants(std::string_view part) const {
    return std::find(a_.parts.begin(), a_.parts.end(), part) != a_.parts.end();
  }

  std::string gather() {
    std::vector<std::string> skipped;
    if (a_.traces.empty()) {
      loads_ = generated_traces(a_.load, a_.seed);
      memories_ = generated_memory_traces(a_.memory);
    } else {
      auto series = read_series(a_.traces, skipped);
      if (!series) return series.error();
      if (!a_.all_memory) loads_ = load_traces(*series, a_.load, skipped);
      memories_ = memory_traces(*series, a_.all_memory, a_.memory, skipped);
    }
    const auto other = [&](const auto& t) { return t.name.find(a_.only) == std::string::npos; };
    std::erase_if(loads_, other);
    std::erase_if(memories_, other);
    const bool loads =
        (wants("cpu") || wants("nodes") || wants("shapes") || wants("forecast") || wants("hour")) &&
        !loads_.empty();
    const bool memories = wants("memory") && !memories_.empty();
    std::string out;
    if (!loads && !memories) {
      out =
          fmt::format("{}: nothing to run{}", a_.traces.empty() ? "generated shapes" : a_.traces,
                      a_.only.empty() ? "" : fmt::format("; --only {} names no trace of this kind", a_.only));
    }
    for (const auto& s : skipped) {
      if (out.empty()) {
        fmt::print("left out {}\n", s);
      } else {
        out += "\n  left out " + s;
      }
    }
    return out;
  }

  template <typename Run>
  auto of_all_seeds(Run run) {
    auto out = run(a_.seed);
    for (std::uint64_t seed = a_.seed + 1; seed < a_.seed + a_.seeds; ++seed) {
      auto more = run(seed);
      out.insert(out.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    runs_ += out.size();
    return out;
  }

  void keep(std::vector<Goal> goals) {
    goals_.insert(goals_.end(), std::make_move_iterator(goals.begin()), std::make_move_iterator(goals.end()));
  }

  void judge_cpu() {
    const auto rows = of_all_seeds([&](std::uint64_t seed) {
      a_.study.conditions.seed = seed;
      return run_study(loads_, a_.study);
    });
    lines_ = summarise(loads_, rows);
    const auto judged = goals(lines_);
    print_runs(stdout, loads_, rows, a_.study, a_.all_runs);
    print_summary(stdout, lines_, a_.study);
    json_ = policy_json(loads_, rows, lines_, judged, a_.study);
    keep(judged);
  }

  void judge_nodes() {
    const std::size_t seconds = a_.quick ? 300 : 900;
    NodeOptions options{.cost_usec = a_.study.conditions.cost_usec,
                        .cost_sigma = a_.study.conditions.cost_sigma,
                        .jobs = a_.study.jobs};
    if (a_.study.deadlines.size() == 1) options.deadline_s = a_.study.deadlines.front();
    if (a_.study.budgets.size() == 1) options.writes_per_minute = a_.study.budgets.front();
    const auto rows = of_all_seeds([&](std::uint64_t seed) {
      options.seed = seed;
      return run_nodes(loads_,
                       {{.tasks = 8, .cores = 8, .seconds = seconds},
                        {.tasks = 8, .cores = 8, .seconds = seconds, .classes = true},
                        {.tasks = 64, .cores = 16, .seconds = seconds / 2},
                        {.tasks = 64, .cores = 16, .seconds = seconds / 2, .classes = true}},
                       options);
    });
    print_nodes(stdout, rows, options);
    json_.raw("nodes", nodes_json(rows));
  }

  void judge_shapes() {
    a_.study.conditions.seed = a_.seed;
    const auto lines = run_shapes(loads_, a_.study);
    runs_ += lines.size() * loads_.size();
    print_shapes(stdout, lines);
    json_.raw("shapes", shapes_json(lines));
  }

  void judge_forecasts() {
    a_.study.conditions.seed = a_.seed;
    std::vector<std::string> skipped;
    const auto rows = run_forecasts(loads_, a_.study, skipped);
    for (const auto& s : skipped) fmt::print("left out {}\n", s);
    runs_ += rows.size();
    print_forecasts(stdout, rows);
    json_.raw("forecast", forecasts_json(rows));
  }

  int draw_hour() {
    if (a_.plot.empty() || loads_.size() != 1)
      return fail(fmt::format("hour takes --plot FILE and one trace; here are {}: name one with --only",
                              loads_.size()));
    a_.study.conditions.seed = a_.seed;
    const Hour hour = run_hour(loads_.front(), a_.study.conditions);
    for (const auto* run : {&hour.peak, &hour.same, &hour.ours})
      fmt::print("{:22} {:.2f} cores on average, {:.3f} % of records late\n", run->name,
                 run->mean_quota_cores, 100 * run->late_share);
    if (hour.violations > 0) return fail(fmt::format("{} plans broke an invariant", hour.violations));
    return write_file(a_.plot, to_svg(hour)) ? 0 : fail(fmt::format("{}: cannot be written", a_.plot));
  }

  void judge_memory() {
    const auto rows = of_all_seeds([&](std::uint64_t seed) {
      return run_memory_study(memories_, seed, a_.study.jobs, a_.policies.empty());
    });
    const auto lines = summarise(rows);
    const auto judged = memory_goals(lines);
    print_memory(stdout, memories_, rows, lines, a_.all_runs);
    json_.raw("memory", memory_json(memories_, rows, lines, judged));
    keep(judged);
  }

  Arguments& a_;
  std::vector<Trace> loads_;
  std::vector<MemoryTrace> memories_;
  std::vector<Line> lines_;
  std::vector<Goal> goals_;
  JsonObject json_;
  std::size_t runs_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Judges resource policies on the simulated host"};
  app.require_subcommand(1);
  Arguments a;
  auto* policy = app.add_subcommand(
      "policy", "CPU quotas, contended nodes and memory: ours, the peers and the oracle on the same traces");
  auto* memory = app.add_subcommand("memory", "Of that, memory only");
  auto* node = app.add_subcommand("node", "Of that, contended nodes only");
  auto* shapes = app.add_subcommand("shapes", "Of that, tasks of a kind that quotas are wrong for");
  auto* forecast = app.add_subcommand("forecast", "Of that, loads that repeat themselves, with a forecast");
  auto* hour =
      app.add_subcommand("hour", "Draws one load: two static quotas and ours (--only NAME --plot FILE)");
  for (auto* command : {policy, memory, node, shapes, forecast, hour}) add_options(*command, a);
  policy->add_option("--parts", a.parts, "Of cpu, nodes, shapes, forecast, memory; default: all")
      ->delimiter(',')
      ->check(CLI::IsMember({"cpu", "nodes", "shapes", "forecast", "memory"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (*memory) a.parts = {"memory"};
  if (*node) a.parts = {"nodes"};
  if (*shapes) a.parts = {"shapes"};
  if (*forecast) a.parts = {"forecast"};
  if (*hour) a.parts = {"hour"};
  if (a.parts.empty())
    a.parts = a.policies.empty() ? std::vector<std::string>{"cpu", "nodes", "shapes", "forecast", "memory"}
                                 : std::vector<std::string>{"cpu"};
  try {
    return Judge(a).run();
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
