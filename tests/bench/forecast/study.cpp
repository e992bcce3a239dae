#include "tests/bench/forecast/study.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "tests/bench/json_text.hpp"
#include "tests/bench/parallel.hpp"

namespace sluice::bench {
namespace {

using config::ForecastMode;

constexpr double kDeadline = 1;
constexpr std::size_t kSeasons = 3;

std::string_view word(ForecastMode mode) {
  return mode == ForecastMode::on ? "on" : "off";
}

Trace repeated(const Trace& trace) {
  Trace out = trace;
  for (std::size_t i = 1; i < kSeasons; ++i)
    out.cores.insert(out.cores.end(), trace.cores.begin(), trace.cores.end());
  return out;
}

void run_one(const Trace& thrice, const StudyOptions& options, Visibility visibility, ForecastRow& row) {
  Conditions conditions = options.conditions;
  const std::size_t season = thrice.cores.size() / kSeasons;
  conditions.warm_up_seconds = (kSeasons - 1) * season;
  Bed bed(thrice, conditions);
  OursSpec spec{.deadline_s = kDeadline, .writes_per_minute = row.budget, .visibility = visibility};
  spec.forecast = {row.mode, std::chrono::seconds(season)};
  row.violations = run_ours(bed, spec);
  const Figures f = bed.figures();
  row.quota = f.quota_cores / f.usage_cores;
  row.q10 = f.q10_cores / f.usage_cores;
  row.late_share = bed.late_share(kDeadline);
  row.stall_share = f.stall_share;
  row.delay_p99_s = f.delay_p99_s;
  row.writes_per_minute = f.writes_per_minute;
  row.writes_worst_minute = f.writes_worst_minute;
}

// The mean of the rows with one visibility, budget and mode.
ForecastRow mean(const ForecastRow& kind, const std::vector<ForecastRow>& rows) {
  ForecastRow out = kind;
  out.trace.clear();
  out.quota = out.q10 = out.late_share = out.stall_share = out.delay_p99_s = out.writes_per_minute = 0;
  out.violations = 0;
  double n = 0;
  for (const auto& r : rows) {
    if (r.visibility != kind.visibility || r.budget != kind.budget || r.mode != kind.mode) continue;
    ++n;
    out.quota += std::log(r.quota);
    out.q10 += std::log(r.q10);
    out.late_share += r.late_share;
    out.stall_share += r.stall_share;
    out.delay_p99_s += r.delay_p99_s;
    out.writes_per_minute += r.writes_per_minute;
    out.writes_worst_minute = std::max(out.writes_worst_minute, r.writes_worst_minute);
    out.violations += r.violations;
  }
  out.quota = std::exp(out.quota / n);
  out.q10 = std::exp(out.q10 / n);
  out.late_share /= n;
  out.stall_share /= n;
  out.delay_p99_s /= n;
  out.writes_per_minute /= n;
  return out;
}

}  // namespace

std::vector<ForecastRow> run_forecasts(const std::vector<Trace>& traces, const StudyOptions& options,
                                       std::vector<std::string>& skipped) {
  std::vector<Trace> thrice;
  for (const Trace& trace : traces) {
    if (trace.cores.size() < kFewestSeasonSeconds) {
      skipped.push_back(fmt::format("{}: {} s long, and a season has {} s at least", trace.name,
                                    trace.cores.size(), kFewestSeasonSeconds));
    } else {
      thrice.push_back(repeated(trace));
    }
  }
  std::vector<ForecastRow> rows;
  std::vector<std::function<void()>> work;
  rows.reserve(thrice.size() * 8);
  for (const Trace& trace : thrice) {
    for (const auto visibility : {Visibility::kernel, Visibility::bytes}) {
      for (const std::uint32_t budget : {60U, 20U}) {
        for (const auto mode : {ForecastMode::off, ForecastMode::on}) {
          ForecastRow& row = rows.emplace_back();
          row.trace = trace.name;
          row.visibility = to_string(visibility);
          row.budget = budget;
          row.mode = mode;
          work.emplace_back([&, visibility] { run_one(trace, options, visibility, row); });
        }
      }
    }
  }
  in_parallel(work, options.jobs);
  const std::size_t kinds = thrice.empty() ? 0 : rows.size() / thrice.size();
  const std::vector<ForecastRow> single = rows;
  for (std::size_t i = 0; i < kinds; ++i) rows.push_back(mean(single[i], single));
  return rows;
}

void print_forecasts(std::FILE* out, const std::vector<ForecastRow>& rows) {
  fmt::print(
      out,
      "\nForecast, deadline 1 s, each trace {} times over, the last one measured. quota, q10: over usage, of "
      "all traces the geometric mean\n",
      kSeasons);
  std::string trace = "none yet";
  for (const ForecastRow& r : rows) {
    if (r.trace != trace) {
      trace = r.trace;
      fmt::print(out, "\n{:<40}{:>8}{:>8}{:>9}{:>9}{:>8}{:>8}{:>6}\n", trace.empty() ? "all" : trace, "quota",
                 "q10", "late %", "stall %", "p99 s", "wr/m", "most");
    }
    fmt::print(out, "{:<40}{:8.3f}{:8.2f}{:9.3f}{:9.2f}{:8.3f}{:8.1f}{:6}{}\n",
               fmt::format("{}, {} writes, {}", r.visibility, r.budget, word(r.mode)), r.quota, r.q10,
               100 * r.late_share, 100 * r.stall_share, r.delay_p99_s, r.writes_per_minute,
               r.writes_worst_minute,
               r.violations > 0 ? fmt::format("  BROKEN: {} plans violated an invariant", r.violations) : "");
  }
}

std::string forecasts_json(const std::vector<ForecastRow>& rows) {
  return json_array(rows, [](const ForecastRow& r) {
    return JsonObject()
        .text("trace", r.trace.empty() ? "all" : r.trace)
        .text("policy", "ours")
        .text("visibility", r.visibility)
        .whole("writes_budget", r.budget)
        .text("forecast", word(r.mode))
        .number("quota", r.quota)
        .number("q10", r.q10)
        .number("late_share", r.late_share)
        .number("stall_share", r.stall_share)
        .number("delay_p99_s", r.delay_p99_s)
        .number("writes_per_minute", r.writes_per_minute)
        .whole("writes_worst_minute", r.writes_worst_minute)
        .whole("plan_violations", r.violations)
        .done();
  });
}

}  // namespace sluice::bench
