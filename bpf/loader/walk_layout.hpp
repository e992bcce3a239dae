// Where memory.stat's counters lie in the kernel's struct memcg_vmstats. Pure: no I/O.
//
// BTF tells the arrays and the names of the counters. Where an array has a slot for each name, the name's
// value is the slot. Where it is shorter, the kernel keeps a table from names to slots, which BTF does not
// describe: its bytes are copied out at start (walk_tables.bpf.c), and believed only if they read as a
// one-to-one map onto all slots of the array, in one of the encodings that kernels have used. Else there is
// no layout, and the file is read.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bpf/wire/walk.h"

struct btf;

namespace sluice::bpf {

// One of the two arrays, and how many names there are for its slots.
struct StatArray {
  std::uint32_t offset_bytes = 0;  // in struct memcg_vmstats
  std::uint32_t slots = 0;         // 0: not found
  std::uint32_t names = 0;
  bool needs_table() const { return slots < names; }
};

struct StatTypes {
  StatArray state, events;
  std::array<std::int64_t, SLUICE_STATS> names{};  // the kernel's value of each name; -1: it has none
  bool complete = false;                           // all that memory.stat needs is there
};

StatTypes learn_stat_types(const btf* types);

// From a table's bytes: for each name its slot, or -1.
std::optional<std::vector<int>> read_table(std::span<const std::uint8_t> bytes, std::uint32_t names,
                                           std::uint32_t slots);

struct StatLayout {
  std::uint32_t from_bytes = 0;  // of struct memcg_vmstats, what is read in one go
  std::uint32_t bytes = 0;
  std::array<std::uint32_t, SLUICE_STATS> at{};  // in longs from there; SLUICE_STAT_NONE: always 0
};

// Empty tables are fine where none is needed.
std::optional<StatLayout> lay_out(const StatTypes& types, std::span<const std::uint8_t> state_table,
                                  std::span<const std::uint8_t> events_table);

}  // namespace sluice::bpf
