// What one controller wants for one knob of one task, and why. Bounds, capacity and the write budget are
// not its business: arbitrate sees to them.
#pragma once

#include "cgroups/types.hpp"
#include "daemon/decide/reason.hpp"

namespace sluice {

struct Intent {
  double value = 0;  // cores for cpu.max, bytes for memory.high; infinity = no limit
  Reason reason;     // rule none: keep what is there
  bool changes() const { return reason.rule != Rule::none; }
};

}  // namespace sluice
