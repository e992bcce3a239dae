#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/bench/peers/static_quota.hpp"

namespace sluice::bench {
namespace {

template <typename T>
std::unique_ptr<Peer> make1(double a, double, double) {
  return std::make_unique<T>(a);
}

double quantile(std::vector<double> v, double q) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v[static_cast<std::size_t>(std::lround(q * static_cast<double>(v.size() - 1)))];
}

}  // namespace

std::vector<PeerSetting> peer_settings(const Hindsight& hindsight) {
  std::vector<PeerSetting> out;
  const double peak = quantile(hindsight.usage_by_second, 1);
  for (const double factor : {1.0, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25}) {
    out.push_back({.peer = "static-peak",
                   .setting = fmt::format("peak x {:g}", factor),
                   .published = factor == 1.0,
                   .make = make1<StaticQuota>,
                   .a = peak * factor});
  }
  for (const double q : {0.95, 0.5, 0.75, 0.9, 0.98, 0.995}) {
    out.push_back({.peer = "static-p95",
                   .setting = fmt::format("p{:g}", 100 * q),
                   .published = q == 0.95,
                   .make = make1<StaticQuota>,
                   .a = quantile(hindsight.usage_by_second, q)});
  }
  return out;
}

}  // namespace sluice::bench
