// Every program loads, and none exceeds its known number of verified instructions: a change that makes the
// verifier work much harder may be refused by the verifier of another kernel.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "tests/kernel/bpf/counted.hpp"

namespace sluice::kernel_test {
namespace {

using bpf::Source;

// A quarter above the maximum of all tested kernels. The kernels' own limit is a million.
struct Bound {
  std::uint32_t verified_insns;
  std::uint32_t translated_bytes;
};
const std::map<std::string, Bound> kBounds = {
    {"find_tables", {140, 800}},      {"walk_with_pressure", {4300, 11'800}},
    {"on_throttle", {2900, 2000}},    {"on_unthrottle", {2300, 1350}},
    {"on_switch", {5100, 6800}},      {"on_stall", {1020, 1800}},
    {"on_stall_end", {1010, 1900}},   {"on_penalty", {1000, 1700}},
    {"on_penalty_end", {1030, 1850}}, {"on_oom", {1070, 2150}},
    {"visit_socket", {5000, 3400}},   {"on_state", {2450, 2700}},
    {"on_accept", {960, 1450}},       {"visit_task", {1010, 1550}},
    {"on_write", {1090, 4050}},
};

// One program for each form that a kernel's function has had.
std::string family(std::string name) {
  return name.starts_with("on_accept_") ? "on_accept" : name;
}

TEST(Programs, AllLoad) {
  auto source = Source::open({});
  ASSERT_TRUE(source) << source.error().sentence;
  EXPECT_EQ(source->why_not(), "") << "something is missing on a kernel that has it all";
  const std::vector<std::string> all{"bpf-iterator", "bpf-throttle-events", "bpf-throttle",
                                     "bpf-runqueue", "bpf-memstall",        "bpf-flow",
                                     "bpf-writer"};
  EXPECT_EQ(source->capabilities(), all);
}

TEST(Programs, NoneHasOutgrownItsBound) {
  auto source = Source::open({});
  ASSERT_TRUE(source) << source.error().sentence;
  std::map<std::string, Bound> unseen = kBounds;
  for (const bpf::Program& program : source->programs()) {
    RecordProperty(program.name + "_verified_insns", std::to_string(program.verified_insns));
    RecordProperty(program.name + "_translated_bytes", std::to_string(program.translated_bytes));
    std::printf("{\"%s\", {%u, %u}},\n", program.name.c_str(), program.verified_insns,
                program.translated_bytes);
    EXPECT_GT(program.verified_insns, 0u) << program.name;
    const auto bound = kBounds.find(family(program.name));
    if (bound == kBounds.end()) {
      ADD_FAILURE() << program.name << " is new: give it a bound";
      continue;
    }
    EXPECT_LE(program.verified_insns, bound->second.verified_insns) << program.name;
    EXPECT_LE(program.translated_bytes, bound->second.translated_bytes) << program.name;
    unseen.erase(bound->first);
  }
  for (const auto& [name, bound] : unseen) ADD_FAILURE() << name << " has a bound, and was not loaded";
}

}  // namespace
}  // namespace sluice::kernel_test
