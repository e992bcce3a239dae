// The value that one controller wants for one knob of one task, and why. It ignores bounds, capacity and the
// write budget: those belong to arbitrate.
#pragma once

#include "cgroups/types.hpp"
#include "daemon/decide/reason.hpp"

namespace sluice {

struct Intent {
  double value = 0;  // cores for cpu.max, bytes for memory.high; infinity = no limit
  Reason reason;     // rule none: keep the current value
  bool changes() const { return reason.rule != Rule::none; }
};

}  // namespace sluice
