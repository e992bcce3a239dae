#include "daemon/actuate/knob_writer.hpp"

#include <chrono>
#include <utility>

#include "daemon/process/clock.hpp"

namespace sluice::actuate {
namespace {

// ENOENT from a cgroup that still exists only means that the knob's controller is off.
void fail(Receipt& receipt, const cgroups::Error& error, const cgroups::Cgroup& cgroup) {
  receipt.result = cgroups::means_vanished(error) && !cgroup.alive() ? Receipt::Result::vanished
                                                                     : Receipt::Result::refused;
  receipt.error_number = error.errno_value;
}

}  // namespace

Receipt write_and_verify(const Order& order) {
  const auto& [write, cgroup] = order;
  const auto written = cgroup->write(write.knob, write.value);
  const auto written_at = monotonic_now();
  // Reads even after a failure: an interrupted memory.high is set nevertheless, and after a refusal the old
  // value stays.
  const auto held = cgroup->read(write.knob);
  Receipt receipt;
  if (held) receipt.holds = *held;
  if (written) receipt.written_at = written_at;
  if (!written) {
    fail(receipt, written.error(), *cgroup);
  } else if (!held) {
    fail(receipt, held.error(), *cgroup);
  } else if (!cgroups::holds_as_asked(write.value, *held)) {
    receipt.result = Receipt::Result::differs;
  }
  return receipt;
}

Receipt CgroupfsWriter::apply(const Order& order) {
  if (const auto allowed = cgroups::check_writable(order.write.knob, order.write.value); !allowed) {
    Receipt receipt;
    fail(receipt, allowed.error(), *order.cgroup);
    return receipt;
  }
  return write_and_verify(order);
}

}  // namespace sluice::actuate
