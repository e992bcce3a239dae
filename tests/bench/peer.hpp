// What a peer may see and do: a pure controller of one task's quota, called every 100 ms.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace sluice::bench {

struct PeerView {
  double now_s = 0;
  double quota_cores = 0;
  double usage_cores = 0;     // mean over the last 100 ms
  double throttle_ratio = 0;  // of the last 100 ms: throttled periods of its periods, 0 or 1 mostly
};

class Peer {
 public:
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;
  // The quota it wants from now on; what it was called with to leave it.
  virtual double decide(const PeerView& view) = 0;
};

// What is known of a trace in hindsight, for peers whose setting is somebody's foresight.
struct Hindsight {
  std::vector<double> usage_by_second;  // at the cap, warm-up left out
};

struct PeerSetting {
  std::string peer;        // "Captain"
  std::string setting;     // "target=0.1"
  bool published = false;  // its published default
  std::unique_ptr<Peer> (*make)(double a, double b, double c) = nullptr;
  double a = 0, b = 0, c = 0;
  std::unique_ptr<Peer> start() const { return make(a, b, c); }
};

// Every peer at its published defaults and at the grid from which its best is taken.
std::vector<PeerSetting> peer_settings(const Hindsight& hindsight);

}  // namespace sluice::bench
