// Memory that a program writes while we read it. Private to this folder.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <ctime>

#include "bpf/loader/libbpf.hpp"

namespace sluice::bpf {

inline std::uint64_t load(const std::uint64_t& counter) {
  // atomic_ref does not accept const in C++20. Nothing is written.
  return std::atomic_ref(const_cast<std::uint64_t&>(counter)).load(std::memory_order_relaxed);
}

// All entries of an array map. The size of T must be a multiple of eight, as the distance of the entries is.
template <typename T>
Mapping map_array(const bpf_map* map) {
  static_assert(sizeof(T) % 8 == 0);
  return {bpf_map__fd(map), sizeof(T) * bpf_map__max_entries(map), PROT_READ | PROT_WRITE};
}

// CLOCK_MONOTONIC, which is what programs call ktime.
inline std::uint64_t monotonic_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace sluice::bpf
