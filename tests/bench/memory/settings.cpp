#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/bench/memory/fixed.hpp"
#include "tests/bench/memory/senpai.hpp"
#include "tests/bench/memory/tmo.hpp"

namespace sluice::bench {
namespace {

template <typename T, typename... A>
std::function<std::unique_ptr<MemoryPeer>()> make(A... arguments) {
  return [=] { return std::make_unique<T>(arguments...); };
}

}  // namespace

double MemoryHindsight::quantile(double q) const {
  if (bytes_by_second.empty()) return 0;
  auto sorted = bytes_by_second;
  std::sort(sorted.begin(), sorted.end());
  return sorted[static_cast<std::size_t>(std::lround(q * static_cast<double>(sorted.size() - 1)))];
}

// The first setting of each peer is its published one. TMO's published speed is per 6 s of a day. Our traces
// are hours, some of them compressed, so its grid goes up to a hundred times that speed.
std::vector<MemorySetting> memory_settings(const MemoryHindsight& hindsight) {
  std::vector<MemorySetting> out;
  const auto add = [&](const char* peer, std::string setting,
                       std::function<std::unique_ptr<MemoryPeer>()> start, double max_share = 1) {
    const bool first = out.empty() || out.back().peer != peer;
    out.push_back({.peer = peer,
                   .setting = std::move(setting),
                   .published = first,
                   .max_share = max_share,
                   .start = std::move(start)});
  };
  for (const double share : {1.0, 0.9, 0.8, 0.7}) {
    add("static", fmt::format("{:g} x peak", share), make<StaticMemory>(), share);
  }
  for (const double pressure : {10'000.0, 1'000.0, 3'000.0, 30'000.0}) {
    for (const unsigned interval : {6U, 2U}) {
      add("senpai 2019", fmt::format("{:g} ms each {} s", pressure / 1e3, interval),
          make<Senpai>(Senpai::Setting{pressure, interval}));
    }
  }
  for (const double ratio : {0.0005, 0.002, 0.01, 0.05}) {
    for (const double target : {0.001, 0.0003, 0.003}) {
      add("TMO", fmt::format("{:g} % each 6 s, below {:g} %", 100 * ratio, 100 * target),
          make<Tmo>(Tmo::Setting{.ratio = ratio, .target = target}));
    }
  }
  // The usual memory request: what the task mostly uses.
  for (const double request : {0.5, 0.0}) {
    for (const double f : {0.8, 0.9, 0.4}) {
      add("MemoryQoS", fmt::format("request p{:g}, f = {:g}", 100 * request, f),
          make<MemoryQos>(hindsight.quantile(request), hindsight.quantile(1), f));
    }
  }
  return out;
}

}  // namespace sluice::bench
