#include "tests/bench/memory/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/bench/trace.hpp"

namespace sluice::bench {
namespace {

constexpr double kMiB = 1 << 20;
constexpr std::size_t kLeastSeconds = 600;
constexpr double kFastest = 10;
constexpr double kColdRefillSeconds = 600;  // time in which a task refills its cold cache

Bytes mib(double value) {
  return static_cast<Bytes>(value * kMiB);
}

}  // namespace

std::vector<MemoryTrace> memory_traces(const std::vector<Series>& all_series, bool all,
                                       const MemoryTraceOptions& options, std::vector<std::string>& skipped) {
  std::vector<MemoryTrace> out;
  for (const Series& series : all_series) {
    if (!all && series.kind != Series::Kind::memory) continue;
    const double length = series.rows.back().t_s - series.rows.front().t_s + series.period_s;
    const double speedup = options.speedup > 0
                               ? options.speedup
                               : std::clamp(length / static_cast<double>(options.seconds), 1.0, kFastest);
    auto level = by_second(series, speedup);
    const auto largest = *std::max_element(level.begin(), level.end());
    if (level.size() < kLeastSeconds || largest < 1) {
      skipped.push_back(
          fmt::format("{}: {} s at speed-up {:g} and at most {:g} MiB; {} s and 1 MiB are needed",
                      series.name, level.size(), speedup, largest, kLeastSeconds));
      continue;
    }
    const std::string cut = cut_around_peak(level, options.seconds);
    MemoryTrace trace{.name = series.name, .seconds = level.size(), .spec = {}, .note = {}};
    double mean = 0;
    std::vector<simhost::Load::Point> anon;
    for (std::size_t s = 0; s < level.size(); ++s) {
      mean += level[s] / static_cast<double>(level.size());
      anon.push_back({static_cast<double>(s), level[s] * (1 - options.cold_share - options.hot_file_share)});
    }
    const double peak = *std::max_element(level.begin(), level.end());
    auto& spec = trace.spec;
    spec.anon = mib(anon.front().value);
    spec.anon_mib = simhost::Load({.shape = simhost::Load::Shape::csv}, std::move(anon));
    spec.file_hot = mib(mean * options.hot_file_share);
    spec.file_cold = spec.file_cold_max = mib(peak * options.cold_share);
    spec.cold_growth_bytes_per_s = static_cast<double>(spec.file_cold_max) / kColdRefillSeconds;
    trace.note = fmt::format("{} rows each {:g} s, {:.3g} x as fast{}", series.rows.size(), series.period_s,
                             speedup, cut);
    out.push_back(std::move(trace));
  }
  return out;
}

std::vector<MemoryTrace> generated_memory_traces(const MemoryTraceOptions& options) {
  struct Shape {
    const char* name;
    const char* anon_mib;
    double cold_mib, cold_growth_mib_s, hot_file_mib;
  };
  // For 7200 s; a shorter run compresses them.
  constexpr Shape kShapes[] = {
      {"cold-cache", "constant:base=300", 500, 0.5, 80},
      {"growing-state", "leak:base=200,start=600,slope=0.1,peak=700", 300, 0.3, 60},
      {"leak", "leak:base=150,start=0,slope=0.12", 200, 0.3, 40},
      {"jump-and-return", "burst:base=250,peak=600,start=2500,length=1200", 300, 0.5, 60},
      {"sawtooth", "burst:base=150,peak=450,start=300,length=240,period=900", 250, 0.5, 60},
      {"log-writer", "constant:base=120", 100, 3, 40},
  };
  std::vector<MemoryTrace> out;
  for (const Shape& shape : kShapes) {
    MemoryTrace trace{.name = shape.name, .seconds = options.seconds, .spec = {}, .note = "generated"};
    auto load = simhost::Load::parse(shape.anon_mib).value();
    auto params = load.params();
    params.speedup = std::max(1.0, 7'200.0 / static_cast<double>(options.seconds));
    trace.spec.anon_mib = simhost::Load(params);
    trace.spec.anon = mib(trace.spec.anon_mib->at(0));
    trace.spec.file_cold = mib(shape.cold_mib);
    trace.spec.file_cold_max = mib(std::max(shape.cold_mib, 600.0));
    trace.spec.cold_growth_bytes_per_s = shape.cold_growth_mib_s * kMiB;
    trace.spec.file_hot = mib(shape.hot_file_mib);
    out.push_back(std::move(trace));
  }
  return out;
}

}  // namespace sluice::bench
