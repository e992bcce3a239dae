// A small seeded generator: equal seeds give equal runs on every machine, which std::*_distribution does not
// guarantee.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace sluice::simhost {

constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(mix64(seed)) {}

  double uniform() {  // in (0, 1)
    state_ += 0x9e3779b97f4a7c15ULL;
    return (static_cast<double>(mix64(state_) >> 11) + 0.5) * 0x1.0p-53;
  }
  double exponential(double mean) { return -mean * std::log(uniform()); }
  double normal() {
    if (spare_valid_) {
      spare_valid_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    const double angle = 2.0 * std::numbers::pi * uniform();
    spare_ = radius * std::sin(angle);
    spare_valid_ = true;
    return radius * std::cos(angle);
  }
  // Lognormal with the given mean; `sigma` is that of the logarithm.
  double lognormal(double mean, double sigma) {
    return sigma == 0 ? mean : mean * std::exp(sigma * normal() - sigma * sigma / 2);
  }

 private:
  std::uint64_t state_;
  double spare_ = 0;
  bool spare_valid_ = false;
};

}  // namespace sluice::simhost
