#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/bench/peers/captain.hpp"
#include "tests/bench/peers/hpa.hpp"
#include "tests/bench/peers/quota_burst.hpp"
#include "tests/bench/peers/static_quota.hpp"
#include "tests/bench/peers/vpa.hpp"
#include "tests/bench/peers/windowed_max.hpp"

namespace sluice::bench {
namespace {

template <typename T, typename... A>
std::function<std::unique_ptr<Peer>()> make(A... arguments) {
  return [=] { return std::make_unique<T>(arguments...); };
}

}  // namespace

double Hindsight::quantile(double q) const {
  if (usage_by_second.empty()) return 0;
  auto sorted = usage_by_second;
  std::sort(sorted.begin(), sorted.end());
  return sorted[static_cast<std::size_t>(std::lround(q * static_cast<double>(sorted.size() - 1)))];
}

// The first setting of each peer is its published one. If users must choose (a base quota, a utilisation, a
// target), it is the first example of the documentation.
std::vector<PeerSetting> peer_settings(const Hindsight& hindsight) {
  std::vector<PeerSetting> out;
  const auto add = [&](const char* peer, std::string setting, std::function<std::unique_ptr<Peer>()> start) {
    const bool first = out.empty() || out.back().peer != peer;
    out.push_back(
        {.peer = peer, .setting = std::move(setting), .published = first, .start = std::move(start)});
  };
  for (const double factor : {1.0, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25}) {
    add("static-peak", fmt::format("{:g} x peak", factor), make<StaticQuota>(hindsight.quantile(1) * factor));
  }
  for (const double q : {0.95, 0.5, 0.75, 0.9, 0.98, 0.995}) {
    add("static-p95", fmt::format("p{:g}", 100 * q), make<StaticQuota>(hindsight.quantile(q)));
  }
  add("VPA", "p90 + 15 %, half-life 24 h", make<Vpa>(Vpa::Setting{}));
  for (const double percentile : {0.9, 0.98}) {
    for (const double margin : {0.15, 0.5, 1.0}) {
      for (const double half_life : {60.0, 600.0}) {
        add("VPA", fmt::format("p{:g} + {:g} %, half-life {:g} s", 100 * percentile, 100 * margin, half_life),
            make<Vpa>(Vpa::Setting{percentile, margin, half_life}));
      }
    }
  }
  for (const double utilisation : {0.8, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1.0}) {
    add("K8s-CPU", fmt::format("utilisation {:g}", utilisation), make<WindowedMax>(300U, 15U, utilisation));
  }
  for (const double utilisation : {0.8, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1.0}) {
    add("K8s-CPU-fast", fmt::format("utilisation {:g}", utilisation),
        make<WindowedMax>(20U, 1U, utilisation));
  }
  for (const double stabilisation : {300.0, 60.0}) {
    for (const double target : {0.8, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9}) {
      add("HPA", fmt::format("target {:g}, down after {:g} s", target, stabilisation),
          make<Hpa>(Hpa::Setting{target, stabilisation}));
    }
  }
  for (const double target : {0.1, 0.0, 0.02, 0.04, 0.06, 0.15, 0.2, 0.25, 0.3}) {
    add("Captain", fmt::format("target {:g}", target), make<Captain>(target));
  }
  for (const double q : {0.95, 0.25, 0.5, 0.75, 0.9, 1.0}) {
    add("Koordinator", fmt::format("base p{:g}", 100 * q),
        make<QuotaBurst>(std::max(0.01, hindsight.quantile(q))));
  }
  return out;
}

}  // namespace sluice::bench
