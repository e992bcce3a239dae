// Positions of memory.stat's counters in the kernel's struct memcg_vmstats. Pure: no I/O.
//
// BTF contains the arrays and the names of the counters. If an array has a slot for each name, the value of
// the name is the slot. If it is shorter, the kernel has a table from names to slots, which BTF does not
// describe. walk_tables.bpf.c copies its bytes at start. They are accepted only if they form a one-to-one map
// onto all slots of the array, in one of the encodings that kernels have used. Otherwise there is no layout,
// and the file is read.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bpf/wire/walk.h"

struct btf;

namespace sluice::bpf {

// One of the two arrays, and the number of names for its slots.
struct StatArray {
  std::uint32_t offset_bytes = 0;  // in struct memcg_vmstats
  std::uint32_t slots = 0;         // 0: not found
  std::uint32_t names = 0;
  bool needs_table() const { return slots < names; }
};

struct StatTypes {
  StatArray state, events;
  std::array<std::int64_t, SLUICE_STATS> names{};  // the kernel's value of each name; -1: none
  bool complete = false;                           // everything that memory.stat needs was found
};

StatTypes learn_stat_types(const btf* types);

// The slot of each name, or -1, from the bytes of a table.
std::optional<std::vector<int>> read_table(std::span<const std::uint8_t> bytes, std::uint32_t names,
                                           std::uint32_t slots);

struct StatLayout {
  std::uint32_t from_bytes = 0;  // of struct memcg_vmstats: start of what is read at once
  std::uint32_t bytes = 0;
  std::array<std::uint32_t, SLUICE_STATS> at{};  // index in longs from there; SLUICE_STAT_NONE: always 0
};

// Tables may be empty if they are not needed.
std::optional<StatLayout> lay_out(const StatTypes& types, std::span<const std::uint8_t> state_table,
                                  std::span<const std::uint8_t> events_table);

}  // namespace sluice::bpf
