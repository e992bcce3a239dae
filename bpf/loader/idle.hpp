// When a slot's cgroup was idle. Pure; private to this folder.
#pragma once

#include <cstdint>

#include "bpf/wire/idle.h"

namespace sluice::bpf {

// The slot has a new cgroup: earlier counts are void, and nothing is known yet.
void restart_idle(sluice_idle_slot& slot, std::uint64_t now_ns);

sluice_idle idle_of(const sluice_idle_slot& slot);

// As Source::awake_threads().
std::uint32_t awake_threads(const sluice_idle_slot& slot);

// As Source::idle_until().
std::uint64_t idle_until(const sluice_idle_slot& slot, std::uint64_t at_ns);

}  // namespace sluice::bpf
