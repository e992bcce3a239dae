// An actuator on plain files, with a writer that the test defines.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/actuate/actuator.hpp"
#include "tests/unit/actuate/writers.hpp"

namespace sluice::actuate {

using namespace std::chrono_literals;
using test::FunctionWriter;
using test::Gate;
using test::PlainTree;
using Result = Receipt::Result;

inline constexpr auto kForever = 60s;  // only a failing test waits that long
// Deadlines that no test reaches unintentionally.
inline constexpr ActuatorOptions kPatient{.cpu_deadline = kForever, .memory_deadline = kForever};
inline constexpr ActuatorOptions kHasty{.cpu_deadline = 20ms, .memory_deadline = 20ms, .grace = 40ms};

class ActuatorTest : public testing::Test {
 protected:
  ActuatorTest() {
    for (const char* name : {"a", "b", "c"}) tree.make_cgroup(name);
  }
  cgroups::CgroupRef open(const std::string& name) const {
    return cgroups::Cgroup::open(tree.root(), name).value();
  }
  Order order(const std::string& name, KnobValue value, Nsec caused_at = {}) const {
    auto cgroup = open(name);
    const auto knob = std::holds_alternative<CpuMax>(value) ? Knob::cpu_max : Knob::memory_high;
    return {.write = {.id = cgroup->id(),
                      .knob = knob,
                      .value = value,
                      .reason = {},
                      .caused_at = since_boot(caused_at)},
            .cgroup = cgroup};
  }
  static KnobValue quota(std::int64_t ms) { return CpuMax{.quota = Usec(ms * 1000), .period = 100ms}; }
  static KnobValue memory(Bytes bytes) { return MemoryLimit{bytes}; }
  static bool readable(int fd) {
    pollfd poll_for{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&poll_for, 1, 0) == 1;
  }
  static std::shared_ptr<FunctionWriter> writer(std::function<Receipt(const Order&)> f = test::written) {
    return std::make_shared<FunctionWriter>(std::move(f));
  }
  // Collects receipts until there are `n`.
  static std::vector<Receipt> collect(Actuator& actuator, std::size_t n) {
    std::vector<Receipt> all;
    while (all.size() < n) {
      pollfd poll_for{.fd = actuator.wake_fd(), .events = POLLIN, .revents = 0};
      if (::poll(&poll_for, 1, 60'000) != 1) ADD_FAILURE() << "no receipt came";
      if (testing::Test::HasFailure()) break;
      for (auto& receipt : actuator.drain()) all.push_back(std::move(receipt));
    }
    return all;
  }
  static void wait_for_blocked(const Actuator&, const FunctionWriter& w, std::size_t n) {
    while (w.applied().size() < n) std::this_thread::yield();
  }
  PlainTree tree;
};

}  // namespace sluice::actuate
