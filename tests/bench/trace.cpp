#include "tests/bench/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <numeric>
#include <optional>

#include "tests/simhost/load.hpp"

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kSlowPeriod = 10;           // seconds between rows from which on time is compressed
constexpr std::size_t kFewestSeconds = 600;  // a short slow series is compressed less, down to this length

struct Row {
  double t = 0;
  double value = 0;
};

std::optional<double> number(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(out)) return std::nullopt;
  return out;
}

// Empty: a file of another kind, with `why`.
tl::expected<std::vector<Row>, std::string> read_rows(const fs::path& file, std::string& why) {
  std::ifstream in(file);
  if (!in) return tl::unexpected(fmt::format("{}: cannot be opened", file.string()));
  std::vector<Row> rows;
  std::string line;
  bool first = true;
  for (int n = 1; std::getline(in, line); ++n) {
    const auto fail = [&](std::string_view what) {
      return tl::unexpected(fmt::format("{}:{}: {}, found '{}'", file.string(), n, what, line.substr(0, 60)));
    };
    if (n == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const auto comma = line.find(',');
    const bool two = comma != std::string::npos && line.find(',', comma + 1) == std::string::npos;
    const auto t = number(std::string_view(line).substr(0, comma));
    const auto value = two ? number(std::string_view(line).substr(comma + 1)) : std::nullopt;
    if (first && !t) {  // a header
      first = false;
      why = !two                                           ? "its columns are not t_s,value"
            : line.find("mem", comma) != std::string::npos ? "it counts memory, not load"
                                                           : "";
      if (!why.empty()) return rows;
      continue;
    }
    if (!two || !t || !value) return fail("expected 't_s,value', two numbers");
    if (*value < 0) return fail("a load is not below 0");
    if (!rows.empty() && *t < rows.back().t) return fail("time runs backwards");
    rows.push_back({*t, *value});
    first = false;
  }
  if (rows.size() < 2) {
    return tl::unexpected(
        fmt::format("{}: holds {} rows of 't_s,value', a load needs 2", file.string(), rows.size()));
  }
  return rows;
}

double median_period(const std::vector<Row>& rows) {
  std::vector<double> steps;
  for (std::size_t i = 1; i < rows.size(); ++i) steps.push_back(rows[i].t - rows[i - 1].t);
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle > 0 ? *middle : 1;
}

// The mean of the rows in each second; a second without one holds the last value.
std::vector<double> by_second(const std::vector<Row>& rows, double speedup, double period) {
  const double start = rows.front().t;
  const double length = (rows.back().t + period - start) / speedup;
  std::vector<double> out(std::max<std::size_t>(1, static_cast<std::size_t>(std::llround(length))));
  std::size_t next = 0;
  double held = rows.front().value;
  for (std::size_t s = 0; s < out.size(); ++s) {
    double sum = 0;
    std::size_t count = 0;
    for (; next < rows.size() && (rows[next].t - start) / speedup < static_cast<double>(s + 1) - 1e-9;
         ++next) {
      sum += held = rows[next].value;
      ++count;
    }
    out[s] = count > 0 ? sum / static_cast<double>(count) : held;
  }
  return out;
}

std::string cut_and_scale(Trace& trace, const TraceOptions& options) {
  std::string note;
  auto& v = trace.cores;
  if (v.size() > options.seconds) {
    const auto peak = std::max_element(v.begin(), v.end()) - v.begin();
    const auto want = static_cast<std::ptrdiff_t>(options.seconds);
    const auto from =
        std::clamp<std::ptrdiff_t>(peak - want / 2, 0, static_cast<std::ptrdiff_t>(v.size()) - want);
    note = fmt::format(", {} of {} s around the peak", want, v.size());
    v = std::vector<double>(v.begin() + from, v.begin() + from + want);
  }
  const double peak = *std::max_element(v.begin(), v.end());
  for (double& x : v) x *= options.peak_cores / peak;
  return note;
}

tl::expected<Trace, std::string> to_trace(const fs::path& file, std::string name,
                                          const std::vector<Row>& rows, const TraceOptions& options) {
  Trace out{.name = std::move(name), .cores = {}, .note = {}};
  const double period = median_period(rows);
  out.speedup = options.speedup;
  if (out.speedup <= 0) {
    const double stretch =
        std::max(1.0, static_cast<double>(kFewestSeconds) / static_cast<double>(rows.size()));
    out.speedup = period > kSlowPeriod ? std::max(1.0, period / stretch) : 1;
  }
  out.cores = by_second(rows, out.speedup, period);
  if (*std::max_element(out.cores.begin(), out.cores.end()) <= 0) {
    return tl::unexpected(fmt::format("{}: every value is 0, there is no load to scale", file.string()));
  }
  if (out.cores.size() < 90) {
    return tl::unexpected(
        fmt::format("{}: {} s long at speed-up {:g}, less than the 90 s that a warm-up of 60 s needs; "
                    "lower --speedup",
                    file.string(), out.cores.size(), out.speedup));
  }
  const std::string cut = cut_and_scale(out, options);
  out.note = fmt::format("{} rows each {:g} s, {:g} x as fast{}", rows.size(), period, out.speedup, cut);
  return out;
}

}  // namespace

tl::expected<std::vector<Trace>, std::string> read_traces(const fs::path& dir, const TraceOptions& options,
                                                          std::vector<std::string>& skipped) {
  std::error_code error;
  if (!fs::is_directory(dir, error)) {
    return tl::unexpected(
        fmt::format("{}: is not a folder of traces (*.csv with rows 't_s,value')", dir.string()));
  }
  std::vector<fs::path> files;
  for (auto it = fs::recursive_directory_iterator(dir, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->path().extension() == ".csv" && it->is_regular_file(error)) files.push_back(it->path());
  }
  if (error) return tl::unexpected(fmt::format("{}: {}", dir.string(), error.message()));
  std::sort(files.begin(), files.end());
  std::vector<Trace> out;
  for (const auto& file : files) {
    std::string why;
    const auto rows = read_rows(file, why);
    if (!rows) return tl::unexpected(rows.error());
    auto name = fs::relative(file, dir, error);
    if (!why.empty()) {
      skipped.push_back(fmt::format("{}: {}", name.string(), why));
      continue;
    }
    // A folder that holds one series is named after the folder.
    const bool only = name.has_parent_path() && name.stem() == "series";
    auto trace =
        to_trace(file, (only ? name.parent_path() : name.replace_extension()).string(), *rows, options);
    if (!trace) return tl::unexpected(trace.error());
    out.push_back(std::move(*trace));
  }
  if (out.empty()) {
    return tl::unexpected(fmt::format("{}: holds no *.csv with rows 't_s,value'", dir.string()));
  }
  return out;
}

std::vector<Trace> generated_traces(const TraceOptions& options, std::uint64_t seed) {
  // Shapes for 3600 s; a shorter run sees them compressed, so that it sees all of them.
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
      // The seconds-scale shapes keep their pace.
      const bool fast = std::string_view(name) == "idle-spikes" || std::string_view(name) == "on-off";
      trace.cores.push_back(load.at(static_cast<double>(s) * (fast ? 1 : stretch)));
    }
    cut_and_scale(trace, options);
    out.push_back(std::move(trace));
  }
  return out;
}

}  // namespace sluice::bench
