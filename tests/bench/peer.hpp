// Interface of CPU peers: a pure controller of one task's quota, called every 100 ms.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sluice::bench {

// Measurements of the last 100 ms.
struct PeerView {
  double now_s = 0;
  double quota_cores = 0;
  double usage_cores = 0;
  std::uint64_t periods = 0;  // in which the task ran
  std::uint64_t throttled = 0;
};

class Peer {
 public:
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;
  // Returns the wanted quota; the present one means no change. The caller clamps it to 0.01 .. the cap.
  virtual double decide(const PeerView& view) = 0;
};

// What is known about a trace in hindsight, for peers whose setting requires it.
struct Hindsight {
  std::vector<double> usage_by_second;  // at the cap, without the warm-up
  double quantile(double q) const;
};

struct PeerSetting {
  std::string peer;        // "Captain"
  std::string setting;     // "target 0.1"
  bool published = false;  // the published default
  std::function<std::unique_ptr<Peer>()> start;
};

// Every peer at its published default, and the grid from which the best setting is chosen.
std::vector<PeerSetting> peer_settings(const Hindsight& hindsight);

}  // namespace sluice::bench
