// What the values of one task's knobs lie between.
#pragma once

namespace sluice {

// Bounds of one task as they are now: config, overrides and node capacity together.
struct Bounds {
  double cpu_min = 0, cpu_max = 0;
  double memory_min = 0, memory_max = 0;  // memory_min includes the floor
  // Somebody has set the maximum, so a limit is due where there is none. Else it is the node's size.
  bool cpu_max_is_set = false, memory_max_is_set = false;
};

}  // namespace sluice
