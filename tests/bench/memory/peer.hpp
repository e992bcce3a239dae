// What a peer of the memory controller may see and do: a pure controller of one task, called every second.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::bench {

// Of the last second.
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

// What is known of a trace in hindsight.
struct MemoryHindsight {
  std::vector<double> bytes_by_second;  // unlimited, warm-up left out
  double quantile(double q) const;
};

struct MemorySetting {
  std::string peer;
  std::string setting;
  bool published = false;  // its published default
  double max_share = 1;    // memory.max, of the unlimited peak
  std::function<std::unique_ptr<MemoryPeer>()> start;
};

// Every peer at its published defaults and at the grid from which its best is taken.
std::vector<MemorySetting> memory_settings(const MemoryHindsight& hindsight);

}  // namespace sluice::bench
