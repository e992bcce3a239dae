// The seam under the actuator: how one write is carried out. May block; the actuator calls it from its own
// threads, never two at once for the same cgroup and knob, and interrupts it with a signal at its deadline.
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

  // Fills in what it knows: result, holds, error_number. The caller fills in identity and times.
  virtual Receipt apply(const Order& order) = 0;
};

// Writes, reads back and compares; whatever the kernel takes.
Receipt write_and_verify(const Order& order);

// Refuses what no governor may ask (EINVAL, see check_writable) and does the above.
class CgroupfsWriter final : public KnobWriter {
 public:
  Receipt apply(const Order& order) override;
};

}  // namespace sluice::actuate
