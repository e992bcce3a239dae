// A hundred thousand cgroups, while others appear and vanish: no walk fails, and no cgroup that existed all
// the time is missing from it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <unordered_set>

#include "bpf/loader/source.hpp"
#include "tests/kernel/bpf/tree.hpp"

namespace sluice::kernel_test {
namespace {

constexpr int kSlices = 100, kOfEach = 1000;
constexpr int kWalks = 20;

std::uint64_t make(const std::string& path) {
  struct stat status = {};
  if (mkdir(path.c_str(), 0755) != 0 || stat(path.c_str(), &status) != 0)
    throw std::runtime_error("making " + path + ": errno " + std::to_string(errno));
  return status.st_ino;
}

// The cgroups have no controllers: only the walk is tested, and the guest's memory is small.
class Many : public testing::Test {
 protected:
  void SetUp() override {
    for (int slice = 0; slice < kSlices; ++slice) {
      const auto parent = parent_.path().string() + "/s" + std::to_string(slice);
      stay_.insert(make(parent));
      for (int i = 0; i < kOfEach; ++i) stay_.insert(make(parent + "/c" + std::to_string(i)));
    }
  }
  void TearDown() override {
    for (int slice = 0; slice < kSlices; ++slice) {
      const auto parent = parent_.path().string() + "/s" + std::to_string(slice);
      for (int i = 0; i < kOfEach; ++i) rmdir((parent + "/c" + std::to_string(i)).c_str());
      rmdir(parent.c_str());
    }
  }

  Cgroup parent_{root() / "hundred-thousand"};
  std::unordered_set<std::uint64_t> stay_;
};

TEST_F(Many, NoneIsLostWhileOthersComeAndGo) {
  auto source = bpf::Source::open(bpf::Options{.throttle = false,
                                               .flow = false,
                                               .run_queue = false,
                                               .memory_stall = false,
                                               .writer = false,
                                               .record_capacity = 1024});
  ASSERT_TRUE(source) << source.error().sentence;
  std::atomic<bool> ends = false;
  std::atomic<std::uint64_t> churned = 0;
  const auto churn = parent_.path().string() + "/churn";
  make(churn);
  std::thread others([&] {
    for (std::uint64_t n = 0; !ends; ++n) {
      const auto path = churn + "/x" + std::to_string(n % 512);
      if (rmdir(path.c_str()) != 0) (void)mkdir(path.c_str(), 0755);
      ++churned;
    }
  });
  for (int i = 0; i < kWalks; ++i) {
    const auto records = source->read();
    EXPECT_TRUE(records) << (records ? "" : records.error().sentence);
    if (!records) continue;
    std::unordered_set<std::uint64_t> met;
    for (const auto& record : *records) {
      EXPECT_TRUE(met.insert(record.cgroup_id).second) << "met twice in walk " << i;
    }
    std::size_t lost = 0;
    for (const auto id : stay_) lost += met.contains(id) ? 0U : 1U;
    EXPECT_EQ(lost, 0U) << "in walk " << i << " of " << met.size();
  }
  ends = true;
  others.join();
  for (int n = 0; n < 512; ++n) rmdir((churn + "/x" + std::to_string(n)).c_str());
  rmdir(churn.c_str());
  EXPECT_GT(churned, 1000U);
  RecordProperty("walk_ms_of_100000_cgroups", std::to_string(source->stats().walk_ns / 1'000'000));
}

}  // namespace
}  // namespace sluice::kernel_test
