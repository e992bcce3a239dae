#include "bpf/loader/idle.hpp"

#include <algorithm>

#include "bpf/loader/shared_memory.hpp"

namespace sluice::bpf {
namespace {

std::uint64_t asleep_since(const sluice_idle_slot& slot) {
  const std::uint64_t awake = load(slot.awake);
  const std::uint64_t since = load(slot.asleep_since_ns);
  if (static_cast<std::uint32_t>(awake) != 0 || awake != load(slot.awake)) return 0;
  return since >= load(slot.counted_since_ns) + SLUICE_IDLE_GRACE_NS ? since : 0;
}

}  // namespace

void restart_idle(sluice_idle_slot& slot, std::uint64_t now_ns) {
  const auto epoch = std::max(1u, static_cast<std::uint32_t>(load(slot.awake) >> 32) + 1);
  std::atomic_ref(slot.awake).store(std::uint64_t{epoch} << 32);  // first: invalidates the earlier counts
  slot.counted_since_ns = now_ns;
  slot.asleep_since_ns = slot.began_ns = slot.until_ns = slot.before_until_ns = 0;
}

sluice_idle idle_of(const sluice_idle_slot& slot) {
  const std::uint64_t since = asleep_since(slot);
  return {load(slot.until_ns), since};
}

std::uint32_t awake_threads(const sluice_idle_slot& slot) {
  return static_cast<std::uint32_t>(load(slot.awake));
}

std::uint64_t idle_until(const sluice_idle_slot& slot, std::uint64_t at_ns) {
  const std::uint64_t since = asleep_since(slot);
  if (since != 0 && at_ns >= since + SLUICE_IDLE_MIN_NS) return at_ns;
  const std::uint64_t until = load(slot.until_ns);
  if (until <= at_ns) return until;
  // All threads that woke at `at_ns` or later have run by now.
  const std::uint64_t began = load(slot.began_ns);
  return began + SLUICE_IDLE_MIN_NS <= at_ns ? at_ns : std::min(load(slot.before_until_ns), at_ns);
}

}  // namespace sluice::bpf
