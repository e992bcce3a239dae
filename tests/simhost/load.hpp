// A curve over time: an arrival rate in records per second, or a memory level in MiB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace sluice::simhost {

class Load {
 public:
  enum class Shape : std::uint8_t {
    constant,  // base
    diurnal,   // a sine between base and peak, lowest at 0, with `period`
    burst,     // base, and peak during `length` from `start`; repeated every `period` if that is set
    shift,     // base, and peak from `start` on: a level shift, or a step to saturation
    spikes,    // base (0: idle), and a peak of `length` at a random time in every `period`
    leak,      // base, rising from `start` by `slope` per second, up to peak if that is set
    csv,       // points; each value holds until the next
  };
  struct Point {
    double t_s = 0;
    double value = 0;
  };
  struct Params {
    Shape shape = Shape::constant;
    double base = 0;
    double peak = 0;
    double start_s = 0;
    double length_s = 1;
    double period_s = 0;
    double slope = 0;
    double noise = 0;  // relative standard deviation, drawn once per second
    std::uint64_t seed = 0;
    double scale = 1;    // multiplies every value
    double speedup = 1;  // compresses time
    bool loop = false;   // csv: start again after the last point; otherwise hold its value
  };

  Load() = default;
  explicit Load(const Params& params) : params_(params) {}
  Load(const Params& params, std::vector<Point> points) : params_(params), points_(std::move(points)) {}

  // "diurnal:base=50,peak=200,period=20,noise=0.1" or "csv:FILE,scale=2,speedup=300,loop=1". A bare number is
  // a constant load.
  static tl::expected<Load, std::string> parse(std::string_view text);
  static tl::expected<std::vector<Point>, std::string> read_csv(const std::string& path);
  static Load constant(double value) { return Load(Params{.base = value}); }

  double at(double t_s) const;
  const Params& params() const { return params_; }
  void set_seed(std::uint64_t seed) { params_.seed = seed; }

 private:
  double shape_at(double t_s) const;
  double point_at(double t_s) const;

  Params params_;
  std::vector<Point> points_;
};

}  // namespace sluice::simhost
