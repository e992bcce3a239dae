#include "bpf/loader/walk_layout.hpp"

#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

namespace sluice::bpf {
namespace {

constexpr int kStateSlots = 12, kStateNames = 40, kEventSlots = 10, kEventNames = 60;

// Synthetic types of a kernel: the names are far apart, the arrays have the given lengths.
class FakeKernel {
 public:
  FakeKernel(int state_slots, int event_slots, bool with_proactive = true, const char* without = "")
      : types_(btf__new_empty(), &btf__free) {
    btf* types = types_.get();
    const int word = btf__add_int(types, "long", 8, BTF_INT_SIGNED);
    const int index = btf__add_int(types, "unsigned int", 4, 0);
    const int state = btf__add_array(types, index, word, static_cast<std::uint32_t>(state_slots));
    const int events = btf__add_array(types, index, word, static_cast<std::uint32_t>(event_slots));
    btf__add_struct(types, "memcg_vmstats", (state_slots + event_slots) * 8);
    btf__add_field(types, "state", state, 0, 0);
    btf__add_field(types, "events", events, static_cast<std::uint32_t>(state_slots) * 64, 0);

    const auto enumeration = [&](const char* name,
                                 std::initializer_list<std::pair<const char*, int>> values) {
      btf__add_enum(types, name, 4);
      for (const auto& [value_name, value] : values)
        if (std::string(value_name) != without) btf__add_enum_value(types, value_name, value);
    };
    enumeration("node_stat_item", {{"NR_ANON_MAPPED", 3},
                                   {"NR_FILE_PAGES", 5},
                                   {"NR_SHMEM", 8},
                                   {"NR_UNEVICTABLE", 9},
                                   {"NR_SLAB_RECLAIMABLE_B", 11},
                                   {"WORKINGSET_REFAULT_ANON", 20},
                                   {"WORKINGSET_REFAULT_FILE", 21}});
    enumeration("memcg_stat_item", {{"MEMCG_SOCK", 30}, {"MEMCG_KMEM", 31}, {"MEMCG_NR_STAT", kStateNames}});
    btf__add_enum(types, "vm_event_item", 4);
    int value = 40;
    for (const char* name : {"PGSCAN_KSWAPD", "PGSCAN_DIRECT", "PGSTEAL_KSWAPD", "PGSTEAL_DIRECT"})
      btf__add_enum_value(types, name, value++);
    if (with_proactive) {
      btf__add_enum_value(types, "PGSCAN_PROACTIVE", value++);
      btf__add_enum_value(types, "PGSTEAL_PROACTIVE", value++);
    }
    btf__add_enum_value(types, "NR_VM_EVENT_ITEMS", kEventNames);
  }
  StatTypes learn() const { return learn_stat_types(types_.get()); }

 private:
  std::unique_ptr<btf, decltype(&btf__free)> types_;
};

// A table with slots in the order of the given names, in one of the encodings that kernels have used.
template <typename Value>
std::vector<std::uint8_t> table(int names, std::initializer_list<int> with_slot, int slots, bool plus_one) {
  std::vector<Value> values(static_cast<std::size_t>(names), static_cast<Value>(plus_one ? 0 : -1));
  int slot = 0;
  for (const int name : with_slot)
    values[static_cast<std::size_t>(name)] = static_cast<Value>(slot++ + plus_one);
  for (int name = 0; slot < slots; ++name)  // the other names have the rest
    if (values[static_cast<std::size_t>(name)] == static_cast<Value>(plus_one ? 0 : -1))
      values[static_cast<std::size_t>(name)] = static_cast<Value>(slot++ + plus_one);
  // arbitrary bytes behind the table
  std::vector<std::uint8_t> bytes(values.size() * sizeof(Value) + 64, 0x5a);
  std::memcpy(bytes.data(), values.data(), values.size() * sizeof(Value));
  return bytes;
}

// in reverse order, so that the order matters
const std::initializer_list<int> kStateOrder = {21, 20, 31, 30, 11, 9, 8, 5, 3};
const std::initializer_list<int> kEventOrder = {40, 41, 42, 43, 44, 45};

TEST(StatLayout, ASlotForEachNameNeedsNoTable) {
  const StatTypes types = FakeKernel(kStateNames, kEventNames).learn();
  ASSERT_TRUE(types.complete);
  EXPECT_FALSE(types.state.needs_table());
  const auto layout = lay_out(types, {}, {});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->from_bytes, 3u * 8);  // the first wanted slot
  EXPECT_EQ(layout->at[SLUICE_STAT_ANON], 0u);
  EXPECT_EQ(layout->at[SLUICE_STAT_FILE], 2u);
  EXPECT_EQ(layout->at[SLUICE_STAT_SCAN_KSWAPD], 40u + kStateNames - 3);
  EXPECT_EQ(layout->bytes, (kStateNames + 46u - 3) * 8);
}

template <typename Value>
void expect_understood(bool plus_one) {
  const StatTypes types = FakeKernel(kStateSlots, kEventSlots).learn();
  ASSERT_TRUE(types.complete);
  ASSERT_TRUE(types.state.needs_table() && types.events.needs_table());
  const auto layout = lay_out(types, table<Value>(kStateNames, kStateOrder, kStateSlots, plus_one),
                              table<Value>(kEventNames, kEventOrder, kEventSlots, plus_one));
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->from_bytes, 0u);
  EXPECT_EQ(layout->at[SLUICE_STAT_REFAULT_FILE], 0u);
  EXPECT_EQ(layout->at[SLUICE_STAT_ANON], 8u);
  EXPECT_EQ(layout->at[SLUICE_STAT_SCAN_KSWAPD], 12u);
  EXPECT_EQ(layout->at[SLUICE_STAT_STEAL_PROACTIVE], 17u);
  EXPECT_EQ(layout->at[SLUICE_STAT_SCAN_KHUGEPAGED], std::uint32_t{SLUICE_STAT_NONE}) << "no such name";
}
TEST(StatLayout, TablesOfBytes) {
  expect_understood<std::uint8_t>(false);
}
TEST(StatLayout, TablesOfBytesPlusOne) {
  expect_understood<std::uint8_t>(true);
}
TEST(StatLayout, TablesOfWords) {
  expect_understood<std::int32_t>(false);
}
TEST(StatLayout, TablesOfWordsPlusOne) {
  expect_understood<std::int32_t>(true);
}

TEST(StatLayout, WhatCameLaterMayBeMissing) {
  const StatTypes types = FakeKernel(kStateNames, kEventNames, false).learn();
  ASSERT_TRUE(types.complete);
  EXPECT_EQ(lay_out(types, {}, {})->at[SLUICE_STAT_SCAN_PROACTIVE], std::uint32_t{SLUICE_STAT_NONE});
}

TEST(StatLayout, WhatIsNeededMayNot) {
  for (const char* name : {"NR_ANON_MAPPED", "NR_SHMEM", "MEMCG_SOCK", "WORKINGSET_REFAULT_FILE"}) {
    const StatTypes types = FakeKernel(kStateNames, kEventNames, true, name).learn();
    EXPECT_FALSE(types.complete) << name;
    EXPECT_FALSE(lay_out(types, {}, {})) << name;
  }
}

TEST(StatLayout, ANeededNameWithoutASlotIsNoLayout) {
  const StatTypes types = FakeKernel(kStateSlots, kEventSlots).learn();
  auto state = table<std::uint8_t>(kStateNames, kStateOrder, kStateSlots, false);
  state[1] = state[3];  // anon's slot goes to a name that is not needed
  state[3] = UINT8_MAX;
  EXPECT_FALSE(lay_out(types, state, table<std::uint8_t>(kEventNames, kEventOrder, kEventSlots, false)));
}

TEST(StatTable, BytesThatAreNoTableAreRefused) {
  const auto good = table<std::uint8_t>(kStateNames, kStateOrder, kStateSlots, true);
  ASSERT_TRUE(read_table(good, kStateNames, kStateSlots));
  auto twice = good;
  twice[3] = twice[5];
  EXPECT_FALSE(read_table(twice, kStateNames, kStateSlots)) << "two names with one slot";
  auto beyond = good;
  beyond[3] = kStateSlots + 1;
  EXPECT_FALSE(read_table(beyond, kStateNames, kStateSlots)) << "a slot behind the end";
  EXPECT_FALSE(read_table(std::vector<std::uint8_t>(1024, 0), kStateNames, kStateSlots));
  EXPECT_FALSE(read_table(std::span(good).first(10), kStateNames, kStateSlots)) << "cut off";
  EXPECT_FALSE(read_table({}, kStateNames, kStateSlots));
}

}  // namespace
}  // namespace sluice::bpf
