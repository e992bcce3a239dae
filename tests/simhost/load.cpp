#include "tests/simhost/load.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <numbers>

#include "tests/simhost/rng.hpp"

namespace sluice::simhost {
namespace {

bool to_number(std::string_view text, double& out) {
  if (!text.empty() && text.back() == 's') text.remove_suffix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && std::isfinite(out);
}

bool to_shape(std::string_view name, Load::Shape& out) {
  static constexpr std::pair<std::string_view, Load::Shape> kNames[] = {
      {"constant", Load::Shape::constant}, {"diurnal", Load::Shape::diurnal}, {"burst", Load::Shape::burst},
      {"shift", Load::Shape::shift},       {"step", Load::Shape::shift},      {"spikes", Load::Shape::spikes},
      {"leak", Load::Shape::leak},         {"jump", Load::Shape::burst},      {"csv", Load::Shape::csv},
  };
  const auto* found =
      std::find_if(std::begin(kNames), std::end(kNames), [&](auto& n) { return n.first == name; });
  if (found == std::end(kNames)) return false;
  out = found->second;
  return true;
}

bool set_param(Load::Params& params, std::string_view key, double value) {
  if (key == "seed") {
    params.seed = static_cast<std::uint64_t>(value);
  } else if (key == "loop") {
    params.loop = value != 0;
  } else {
    const std::pair<std::string_view, double*> fields[] = {
        {"base", &params.base},       {"peak", &params.peak},   {"start", &params.start_s},
        {"length", &params.length_s}, {"noise", &params.noise}, {"period", &params.period_s},
        {"slope", &params.slope},     {"scale", &params.scale}, {"speedup", &params.speedup}};
    const auto* found =
        std::find_if(std::begin(fields), std::end(fields), [&](auto& f) { return f.first == key; });
    if (found == std::end(fields)) return false;
    *found->second = value;
  }
  return true;
}

}  // namespace

tl::expected<Load, std::string> Load::parse(std::string_view text) {
  const auto fail = [&](const std::string& why) {
    return tl::unexpected("load '" + std::string(text) + "': " + why);
  };
  if (double number = 0; to_number(text, number)) return constant(number);

  const auto colon = text.find(':');
  Params params;
  if (!to_shape(text.substr(0, colon), params.shape)) {
    return fail("the shape must be constant, diurnal, burst, shift, step, spikes, leak, jump or csv");
  }
  std::string path;
  std::string_view rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const auto equals = item.find('=');
    if (equals == std::string_view::npos && params.shape == Shape::csv && path.empty()) {
      path = item;
      continue;
    }
    double value = 0;
    if (equals == std::string_view::npos || !to_number(item.substr(equals + 1), value)) {
      return fail("'" + std::string(item) + "' is not key=number");
    }
    if (!set_param(params, item.substr(0, equals), value)) {
      return fail(
          "'" + std::string(item.substr(0, equals)) +
          "' is not one of base, peak, start, length, period, slope, noise, seed, scale, speedup, loop");
    }
  }
  if (params.speedup <= 0) return fail("speedup must be above 0");
  const bool periodic = params.shape == Shape::diurnal || params.shape == Shape::spikes;
  if (periodic && params.period_s <= 0) return fail("this shape needs period=SECONDS");
  if (params.shape != Shape::csv) return Load(params);

  auto points = read_csv(path);
  if (!points) return fail(points.error());
  return Load(params, std::move(*points));
}

tl::expected<std::vector<Load::Point>, std::string> Load::read_csv(const std::string& path) {
  std::ifstream in(path);
  if (!in) return tl::unexpected("cannot open '" + path + "'");
  std::vector<Point> points;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const std::string_view view = line;
    const auto comma = view.find(',');
    Point point;
    if (comma == std::string_view::npos || !to_number(view.substr(0, comma), point.t_s) ||
        !to_number(view.substr(comma + 1), point.value)) {
      if (number == 1) continue;  // the header
      return tl::unexpected(path + ":" + std::to_string(number) + ": expected 't_s,value', found '" + line +
                            "'");
    }
    if (!points.empty() && point.t_s < points.back().t_s) {
      return tl::unexpected(path + ":" + std::to_string(number) + ": time runs backwards");
    }
    points.push_back(point);
  }
  if (points.empty()) return tl::unexpected(path + ": holds no 't_s,value' lines");
  return points;
}

double Load::at(double t_s) const {
  const double scaled_t = t_s * params_.speedup;
  double value = params_.shape == Shape::csv ? point_at(scaled_t) : shape_at(scaled_t);
  if (params_.noise > 0) {
    // A function of (seed, second), not a stream: the curve does not depend on how often it is evaluated.
    Rng rng(mix64(params_.seed) ^ static_cast<std::uint64_t>(std::floor(scaled_t)));
    value *= 1 + params_.noise * rng.normal();
  }
  return std::max(0.0, value * params_.scale);
}

double Load::shape_at(double t) const {
  const Params& p = params_;
  switch (p.shape) {
    case Shape::diurnal:
      return p.base + (p.peak - p.base) * 0.5 * (1 - std::cos(2 * std::numbers::pi * t / p.period_s));
    case Shape::burst: {
      if (t < p.start_s) return p.base;
      const double since = p.period_s > 0 ? std::fmod(t - p.start_s, p.period_s) : t - p.start_s;
      return since < p.length_s ? p.peak : p.base;
    }
    case Shape::shift:
      return t < p.start_s ? p.base : p.peak;
    case Shape::spikes: {
      const double cycle = std::floor(t / p.period_s);
      Rng rng(mix64(p.seed + 1) ^ static_cast<std::uint64_t>(cycle));
      const double begin = cycle * p.period_s + rng.uniform() * std::max(0.0, p.period_s - p.length_s);
      return t >= begin && t < begin + p.length_s ? p.peak : p.base;
    }
    case Shape::leak: {
      const double level = p.base + p.slope * std::max(0.0, t - p.start_s);
      return p.peak > 0 ? std::min(level, p.peak) : level;
    }
    case Shape::constant:
    case Shape::csv:
      return p.base;
  }
  return p.base;
}

double Load::point_at(double t) const {
  if (params_.loop && points_.size() > 1) {
    // Adds the last interval once more, so that the last point lasts as long as the one before it.
    const double step = points_.back().t_s - points_[points_.size() - 2].t_s;
    t = std::fmod(t, points_.back().t_s + step - points_.front().t_s) + points_.front().t_s;
  }
  const auto after =
      std::upper_bound(points_.begin(), points_.end(), t, [](double v, const Point& p) { return v < p.t_s; });
  return after == points_.begin() ? points_.front().value : std::prev(after)->value;
}

}  // namespace sluice::simhost
