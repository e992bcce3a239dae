#include "bpf/loader/walk_layout.hpp"

#include <bpf/btf.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace sluice::bpf {
namespace {

constexpr std::uint32_t kSlotBytes = sizeof(std::uint64_t);  // a long; 32-bit kernels are not supported

struct Name {
  const char* enumeration;
  const char* name;
  bool required;  // the others are newer, and only add to a sum
};
constexpr Name kNames[SLUICE_STATS] = {
    {"node_stat_item", "NR_ANON_MAPPED", true},
    {"node_stat_item", "NR_FILE_PAGES", true},
    {"node_stat_item", "NR_SHMEM", true},
    {"node_stat_item", "NR_UNEVICTABLE", true},
    {"memcg_stat_item", "MEMCG_SOCK", true},
    {"memcg_stat_item", "MEMCG_KMEM", true},
    {"node_stat_item", "NR_SLAB_RECLAIMABLE_B", true},
    {"node_stat_item", "WORKINGSET_REFAULT_ANON", true},
    {"node_stat_item", "WORKINGSET_REFAULT_FILE", true},
    {"vm_event_item", "PGSCAN_KSWAPD", true},
    {"vm_event_item", "PGSCAN_DIRECT", true},
    {"vm_event_item", "PGSCAN_KHUGEPAGED", false},
    {"vm_event_item", "PGSCAN_PROACTIVE", false},
    {"vm_event_item", "PGSTEAL_KSWAPD", true},
    {"vm_event_item", "PGSTEAL_DIRECT", true},
    {"vm_event_item", "PGSTEAL_KHUGEPAGED", false},
    {"vm_event_item", "PGSTEAL_PROACTIVE", false},
};

std::int64_t enum_value(const btf* types, const char* enumeration, std::string_view name) {
  const int id = btf__find_by_name_kind(types, enumeration, BTF_KIND_ENUM);
  if (id <= 0) return -1;
  const btf_type* type = btf__type_by_id(types, static_cast<std::uint32_t>(id));
  const struct btf_enum* values = btf_enum(type);
  for (int i = 0; i < btf_vlen(type); ++i)
    if (name == btf__name_by_offset(types, values[i].name_off)) return values[i].val;
  return -1;
}

// The array of longs MEMBER of STRUCTURE.
StatArray array_of(const btf* types, const char* structure, std::string_view member, std::int64_t names) {
  const int id = btf__find_by_name_kind(types, structure, BTF_KIND_STRUCT);
  if (id <= 0 || names <= 0) return {};
  const btf_type* type = btf__type_by_id(types, static_cast<std::uint32_t>(id));
  const btf_member* members = btf_members(type);
  for (int i = 0; i < btf_vlen(type); ++i) {
    if (member != btf__name_by_offset(types, members[i].name_off)) continue;
    const btf_type* array = btf__type_by_id(types, members[i].type);
    if (!btf_is_array(array) || btf__resolve_size(types, btf_array(array)->type) != kSlotBytes) return {};
    return {members[i].offset / 8, btf_array(array)->nelems, static_cast<std::uint32_t>(names)};
  }
  return {};
}

// How kernels encode "this name has no slot": in a table of slots as all bits set, in a table of slots plus
// one as zero.
struct Encoding {
  std::size_t bytes;
  bool plus_one;
};
constexpr Encoding kEncodings[] = {{1, false}, {1, true}, {4, false}, {4, true}};

std::optional<std::vector<int>> decode(std::span<const std::uint8_t> bytes, std::uint32_t names,
                                       std::uint32_t slots, Encoding encoding) {
  if (bytes.size() < names * encoding.bytes) return std::nullopt;
  const std::uint32_t none = encoding.plus_one ? 0 : encoding.bytes == 1 ? UINT8_MAX : UINT32_MAX;
  std::vector<int> slot_of(names, -1);
  std::vector<bool> taken(slots);
  for (std::uint32_t name = 0; name < names; ++name) {
    std::uint32_t value = bytes[name];
    if (encoding.bytes == sizeof(value))
      std::memcpy(&value, bytes.data() + name * sizeof(value), sizeof(value));
    if (value == none) continue;
    const std::uint32_t slot = value - (encoding.plus_one ? 1 : 0);
    if (slot >= slots || taken[slot]) return std::nullopt;
    taken[slot] = true;
    slot_of[name] = static_cast<int>(slot);
  }
  if (std::ranges::find(taken, false) != taken.end()) return std::nullopt;
  return slot_of;
}

}  // namespace

StatTypes learn_stat_types(const btf* types) {
  StatTypes found;
  found.state =
      array_of(types, "memcg_vmstats", "state", enum_value(types, "memcg_stat_item", "MEMCG_NR_STAT"));
  found.events =
      array_of(types, "memcg_vmstats", "events", enum_value(types, "vm_event_item", "NR_VM_EVENT_ITEMS"));
  found.complete = found.state.slots > 0 && found.events.slots > 0;
  for (std::size_t stat = 0; stat < SLUICE_STATS; ++stat) {
    found.names[stat] = enum_value(types, kNames[stat].enumeration, kNames[stat].name);
    if (kNames[stat].required && found.names[stat] < 0) found.complete = false;
  }
  return found;
}

std::optional<std::vector<int>> read_table(std::span<const std::uint8_t> bytes, std::uint32_t names,
                                           std::uint32_t slots) {
  std::optional<std::vector<int>> result;
  for (const Encoding& encoding : kEncodings) {
    auto slot_of = decode(bytes, names, slots, encoding);
    if (!slot_of) continue;
    if (result && *result != *slot_of) return std::nullopt;  // ambiguous
    result = std::move(slot_of);
  }
  return result;
}

std::optional<StatLayout> lay_out(const StatTypes& types, std::span<const std::uint8_t> state_table,
                                  std::span<const std::uint8_t> events_table) {
  if (!types.complete) return std::nullopt;
  std::optional<std::vector<int>> state_slots, events_slots;
  if (types.state.needs_table() &&
      !(state_slots = read_table(state_table, types.state.names, types.state.slots)))
    return std::nullopt;
  if (types.events.needs_table() &&
      !(events_slots = read_table(events_table, types.events.names, types.events.slots)))
    return std::nullopt;

  std::array<std::int64_t, SLUICE_STATS> at_bytes{};
  std::int64_t least = INT64_MAX, most = 0;
  for (std::size_t stat = 0; stat < SLUICE_STATS; ++stat) {
    const bool is_event = stat >= SLUICE_STAT_FIRST_EVENT;
    const StatArray& array = is_event ? types.events : types.state;
    const auto& slots = is_event ? events_slots : state_slots;
    std::int64_t slot = types.names[stat];
    if (slot >= 0 && slots) {
      if (slot >= array.names) return std::nullopt;
      slot = (*slots)[static_cast<std::size_t>(slot)];
    }
    if (slot >= array.slots) return std::nullopt;
    if (slot < 0) {
      if (kNames[stat].required) return std::nullopt;
      at_bytes[stat] = -1;
      continue;
    }
    at_bytes[stat] = array.offset_bytes + slot * kSlotBytes;
    least = std::min(least, at_bytes[stat]);
    most = std::max(most, at_bytes[stat] + kSlotBytes);
  }
  StatLayout layout;
  layout.from_bytes = static_cast<std::uint32_t>(least);
  layout.bytes = static_cast<std::uint32_t>(most - least);
  if (layout.bytes > SLUICE_STAT_LONGS * kSlotBytes) return std::nullopt;
  for (std::size_t stat = 0; stat < SLUICE_STATS; ++stat)
    layout.at[stat] = at_bytes[stat] < 0 ? SLUICE_STAT_NONE
                                         : static_cast<std::uint32_t>(at_bytes[stat] - least) / kSlotBytes;
  return layout;
}

}  // namespace sluice::bpf
