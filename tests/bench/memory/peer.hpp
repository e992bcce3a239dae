// Interface of memory peers: a pure controller of one task, called every second.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::bench {

// Measurements of the last second.
struct MemoryView {
  double now_s = 0;
  double current_bytes = 0;
  double some_usec = 0;  // PSI
};

struct MemoryAction {
  std::optional<double> high_bytes;  // write memory.high
  double reclaim_bytes = 0;          // write memory.reclaim
};

class MemoryPeer {
 public:
  MemoryPeer() = default;
  MemoryPeer(const MemoryPeer&) = delete;
  MemoryPeer& operator=(const MemoryPeer&) = delete;
  virtual ~MemoryPeer() = default;
  virtual MemoryAction decide(const MemoryView& view) = 0;
};

// What is known about a trace in hindsight.
struct MemoryHindsight {
  std::vector<double> bytes_by_second;  // unlimited, without the warm-up
  double quantile(double q) const;
};

struct MemorySetting {
  std::string peer;
  std::string setting;
  bool published = false;  // the published default
  double max_share = 1;    // memory.max as a share of the unlimited peak
  std::function<std::unique_ptr<MemoryPeer>()> start;
};

// Every peer at its published default, and the grid from which the best setting is chosen.
std::vector<MemorySetting> memory_settings(const MemoryHindsight& hindsight);

}  // namespace sluice::bench
