// Bounds of one task's knobs.
#pragma once

namespace sluice {

// The bounds in force: configuration, overrides and node capacity combined.
struct Bounds {
  double cpu_min = 0, cpu_max = 0;
  double memory_min = 0, memory_max = 0;  // memory_min includes the floor
  // True if the maximum was set by the configuration or an override, so that a limit is due even where there
  // is none. Otherwise the maximum is the node's size.
  bool cpu_max_is_set = false, memory_max_is_set = false;
};

}  // namespace sluice
