#include "tests/bench/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "tests/simhost/load.hpp"

namespace sluice::bench {
namespace {

constexpr std::size_t kWarmUp = 60;
constexpr double kSlowPeriod = 10;           // seconds between rows; with more, time is compressed
constexpr std::size_t kFewestSeconds = 600;  // a short slow series is compressed less, down to this length
constexpr std::size_t kLeastSeconds = kWarmUp + 30;

void scale(std::vector<double>& values, double peak_cores) {
  const double peak = *std::max_element(values.begin(), values.end());
  for (double& x : values) x *= peak_cores / peak;
}

// Absent if it is too short or idle; `why` is the reason.
std::optional<Trace> to_trace(const Series& series, const TraceOptions& options, std::string& why) {
  Trace out{.name = series.name, .cores = {}, .note = {}};
  const auto rows = static_cast<double>(series.rows.size());
  out.speedup = options.speedup;
  if (out.speedup <= 0) {
    const double stretch = std::max(1.0, static_cast<double>(kFewestSeconds) / rows);
    out.speedup = series.period_s > kSlowPeriod ? std::max(1.0, series.period_s / stretch) : 1;
  }
  out.cores = by_second(series, out.speedup);
  if (out.cores.size() < kLeastSeconds) {
    why = fmt::format(
        "{} s long at speed-up {:g}, less than the {} s that a warm-up of 60 s needs; lower --speedup",
        out.cores.size(), out.speedup, kLeastSeconds);
    return std::nullopt;
  }
  const std::string cut = cut_around_peak(out.cores, options.seconds);
  const auto after_warm_up = out.cores.begin() + static_cast<std::ptrdiff_t>(kWarmUp);
  if (*std::max_element(after_warm_up, out.cores.end()) <= 0) {
    why = "every value after the first 60 s is 0: there is no load";
    return std::nullopt;
  }
  scale(out.cores, options.peak_cores);
  out.note = fmt::format("{} rows each {:g} s, {:g} x as fast{}", rows, series.period_s, out.speedup, cut);
  return out;
}

}  // namespace

std::string cut_around_peak(std::vector<double>& values, std::size_t seconds) {
  if (values.size() <= seconds) return {};
  const auto peak = std::max_element(values.begin(), values.end()) - values.begin();
  const auto want = static_cast<std::ptrdiff_t>(seconds);
  const auto size = static_cast<std::ptrdiff_t>(values.size());
  const auto from = std::clamp<std::ptrdiff_t>(peak - want / 2, 0, size - want);
  values = std::vector<double>(values.begin() + from, values.begin() + from + want);
  return fmt::format(", {} of {} s around the peak", want, size);
}

std::vector<Trace> load_traces(const std::vector<Series>& all, const TraceOptions& options,
                               std::vector<std::string>& skipped) {
  std::vector<Trace> out;
  for (const Series& series : all) {
    if (series.kind != Series::Kind::load) continue;
    std::string why;
    if (auto trace = to_trace(series, options, why)) {
      out.push_back(std::move(*trace));
    } else {
      skipped.push_back(series.name + ": " + why);
    }
  }
  return out;
}

std::vector<Trace> generated_traces(const TraceOptions& options, std::uint64_t seed) {
  // Shapes for 3600 s; a shorter run compresses them, so that it contains all of them.
  const std::pair<const char*, const char*> kShapes[] = {
      {"diurnal", "diurnal:base=0.8,peak=3.2,period=1800,noise=0.03"},
      {"sustained-burst", "burst:base=1,peak=3.2,start=1400,length=700,noise=0.04"},
      {"level-shift-noise", "shift:base=0.6,peak=1.8,start=1800,noise=0.25"},
      {"idle-spikes", "spikes:base=0.02,peak=3,length=4,period=60,noise=0.1"},
      {"step-to-saturation", "step:base=1.1,peak=3.2,start=2600,noise=0.03"},
      {"on-off", "burst:base=0,peak=2,start=5,length=7,period=19,noise=0.2"},
  };
  std::vector<Trace> out;
  for (const auto& [name, text] : kShapes) {
    auto load = simhost::Load::parse(text).value();
    load.set_seed(seed);
    Trace trace{.name = name, .cores = {}, .note = "generated"};
    const auto seconds = std::min<std::size_t>(options.seconds, 3'600);
    const double stretch = 3'600.0 / static_cast<double>(seconds);
    for (std::size_t s = 0; s < seconds; ++s) {
      // Shapes on a scale of seconds are not compressed.
      const bool fast = std::string_view(name) == "idle-spikes" || std::string_view(name) == "on-off";
      trace.cores.push_back(load.at(static_cast<double>(s) * (fast ? 1 : stretch)));
    }
    scale(trace.cores, options.peak_cores);
    out.push_back(std::move(trace));
  }
  return out;
}

}  // namespace sluice::bench
