// What a slot's account says of when its cgroup was idle. Pure; private to this room.
#pragma once

#include <cstdint>

#include "bpf/wire/idle.h"

namespace sluice::bpf {

// The cgroup is new in the slot: threads that were counted for another are void, and nothing is known yet.
void restart_idle(sluice_idle_slot& slot, std::uint64_t now_ns);

sluice_idle idle_of(const sluice_idle_slot& slot);

// As Source::awake_threads().
std::uint32_t awake_threads(const sluice_idle_slot& slot);

// As Source::idle_until().
std::uint64_t idle_until(const sluice_idle_slot& slot, std::uint64_t at_ns);

}  // namespace sluice::bpf
