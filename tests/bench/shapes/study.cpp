#include "tests/bench/shapes/study.hpp"

#include <fmt/format.h>

#include "tests/bench/json_text.hpp"
#include "tests/bench/peer.hpp"
#include "tests/bench/summary.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

struct Shape {
  const char* name;
  double scale;  // of the traces, whose busiest second is 3.2 cores
  Conditions (*task)(Conditions);
  const char* known;  // the signals that Sluice gets
  StudyOptions (*tell)(StudyOptions);
};

const Shape kShapes[] = {
    {"one thread, work of 1.2 cores at the peak", 0.375,
     [](Conditions c) {
       c.threads = 1;
       return c;
     },
     "cpu.max = 1",
     [](StudyOptions o) {
       o.max_cores = 1;
       return o;
     }},
    {"garbage collection: 4 threads of 100 ms every 5 s", 0.75,
     [](Conditions c) {
       c.gc_period = 5s;
       c.gc_usec = 100'000;
       return c;
     },
     "cpu.burst = 1",
     [](StudyOptions o) {
       o.bursts = {1};
       return o;
     }},
    {"background threads of 0.1 cores", 0.75,
     [](Conditions c) {
       c.background_cores = 0.1;
       return c;
     },
     "lag reported",
     [](StudyOptions o) {
       o.visibilities = {Visibility::lag};
       return o;
     }},
    {"a runtime that counts cores; peers rounded up", 1,
     [](Conditions c) {
       c.step_cores = 1;
       return c;
     },
     "cpu.step = 1",
     [](StudyOptions o) {
       o.step_cores = 1;
       return o;
     }},
};

void add(const Shape& shape, bool known, const std::vector<Line>& lines, std::vector<ShapeLine>& out) {
  for (const Line& l : lines) {
    const bool ours = l.policy == "ours";
    if (!ours && l.setting != "published") continue;
    out.push_back({.shape = shape.name,
                   .policy = known ? fmt::format("ours, {}", shape.known) : l.policy,
                   .visibility = l.visibility,
                   .quota = l.quota,
                   .q10 = l.q10,
                   .worst_late = l.worst_late,
                   .writes_per_minute = l.writes_per_minute,
                   .writes_worst_minute = l.writes_worst_minute,
                   .violations = l.violations});
  }
}

}  // namespace

std::vector<ShapeLine> run_shapes(const std::vector<Trace>& traces, const StudyOptions& base) {
  std::vector<ShapeLine> out;
  for (const Shape& shape : kShapes) {
    auto scaled = traces;
    for (Trace& trace : scaled) {
      for (double& cores : trace.cores) cores *= shape.scale;
    }
    StudyOptions options = base;
    options.conditions = shape.task(base.conditions);
    options.deadlines = {1};
    options.budgets = {60};
    options.visibilities = {Visibility::bytes, Visibility::kernel};
    options.bursts = {0};
    options.published_only = true;
    if (options.policies.empty()) {
      options.policies = {"ours"};
      for (const auto& setting : peer_settings({})) options.policies.insert(setting.peer);
    }
    add(shape, false, summarise(scaled, run_study(scaled, options)), out);
    options = shape.tell(options);
    options.policies = {"ours"};
    add(shape, true, summarise(scaled, run_study(scaled, options)), out);
  }
  return out;
}

void print_shapes(std::FILE* out, const std::vector<ShapeLine>& lines) {
  fmt::print(
      out,
      "\nShapes, deadline 1 s, 60 writes a minute, peers at their published defaults. quota, q10: over "
      "usage, geometric means;\nlate: of the worst trace, above the cap's own\n");
  std::string shape;
  for (const ShapeLine& l : lines) {
    if (l.shape != shape) {
      shape = l.shape;
      fmt::print(out, "\n{:<52}{:>8}{:>8}{:>10}{:>8}{:>6}\n", shape, "quota", "q10", "late %", "wr/m",
                 "most");
    }
    fmt::print(out, "{:<52}{:8.3f}{:8.2f}{:9.3f}{}{:8.1f}{:6}{}\n",
               l.visibility.empty() ? l.policy : l.policy + ", " + l.visibility, l.quota, l.q10,
               100 * l.worst_late, l.worst_late > kLateAllowed ? '!' : ' ', l.writes_per_minute,
               l.writes_worst_minute,
               l.violations > 0 ? fmt::format("  BROKEN: {} plans violated an invariant", l.violations) : "");
  }
}

std::string shapes_json(const std::vector<ShapeLine>& lines) {
  return json_array(lines, [](const ShapeLine& l) {
    return JsonObject()
        .text("shape", l.shape)
        .text("policy", l.policy)
        .text("visibility", l.visibility)
        .number("quota_geometric", l.quota)
        .number("q10_geometric", l.q10)
        .number("worst_late_above_cap", l.worst_late)
        .number("writes_per_minute", l.writes_per_minute)
        .whole("writes_worst_minute", l.writes_worst_minute)
        .whole("plan_violations", l.violations)
        .done();
  });
}

}  // namespace sluice::bench
