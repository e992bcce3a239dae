// The seam below the actuator: how one write is carried out. It may block. The actuator calls it from its own
// threads, never twice at once for one cgroup and knob, and interrupts it with a signal at its deadline.
#pragma once

#include <memory>

#include "cgroups/cgroup.hpp"
#include "daemon/arbitrate/plan.hpp"

namespace sluice::actuate {

struct Order {
  Write write;
  cgroups::CgroupRef cgroup;
};

class KnobWriter {
 public:
  KnobWriter() = default;
  KnobWriter(const KnobWriter&) = delete;
  KnobWriter& operator=(const KnobWriter&) = delete;
  virtual ~KnobWriter() = default;

  // Fills in result, holds and error_number. The caller fills in identity and times.
  virtual Receipt apply(const Order& order) = 0;
};

// Writes, reads back and compares. Accepts every value that the kernel accepts.
Receipt write_and_verify(const Order& order);

// Refuses values that a governor must not write (EINVAL, see check_writable); otherwise as above.
class CgroupfsWriter final : public KnobWriter {
 public:
  Receipt apply(const Order& order) override;
};

}  // namespace sluice::actuate
