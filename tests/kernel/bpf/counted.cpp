#include "tests/kernel/bpf/counted.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace sluice::kernel_test {

bpf::Options nothing() {
  bpf::Options options;
  options.iterator = options.throttle = options.flow = options.run_queue = options.memory_stall =
      options.writer = false;
  return options;
}

sluice_counters counted(bpf::Source& source, const Cgroup& cgroup) {
  for (const sluice_counters& counters : source.counters())
    if (counters.cgroup_id == cgroup.id()) return counters;
  ADD_FAILURE() << cgroup.path() << " is not counted for";
  return {};
}

Inside::Inside(const Cgroup& cgroup) {
  std::string line = read_text("/proc/self/cgroup");  // "0::/path"
  line.erase(line.find_last_not_of('\n') + 1);
  before_ = "/sys/fs/cgroup" + line.substr(line.find("::") + 2) + "/cgroup.procs";
  write_text(cgroup / "cgroup.procs", "0");
}

Inside::~Inside() {
  try {
    write_text(before_, "0");
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

void print_programs(const bpf::Source& source) {
  const auto programs = source.programs();
  ASSERT_FALSE(programs.empty());
  for (const auto& program : programs) {
    testing::Test::RecordProperty(program.name + "_verified_insns", std::to_string(program.verified_insns));
    std::printf("%s: %u instructions looked at by the verifier, %u bytes\n", program.name.c_str(),
                program.verified_insns, program.translated_bytes);
    EXPECT_GT(program.verified_insns, 0u);
    EXPECT_LT(program.verified_insns, 20'000u) << "the kernel's limit is a million: " << program.name;
  }
}

}  // namespace sluice::kernel_test
