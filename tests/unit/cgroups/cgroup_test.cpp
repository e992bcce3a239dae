#include "cgroups/cgroup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "cgroups/fd_limit.hpp"
#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::cgroups {
namespace {

using test::PlainTree;
using testing::HasSubstr;
using namespace std::chrono_literals;

int errno_of_open(const PlainTree& tree, std::string_view path) {
  const auto opened = Cgroup::open(tree.root(), path);
  return opened ? 0 : opened.error().errno_value;
}

TEST(Root, SaysWhatIsWrong) {
  const PlainTree tree;
  tree.put("file", "");
  EXPECT_EQ(Root::open(tree / "absent", Verify::none).error().errno_value, ENOENT);
  EXPECT_EQ(Root::open(tree / "file", Verify::none).error().errno_value, ENOTDIR);
  const auto plain = Root::open(tree.path(), Verify::cgroup2);
  ASSERT_FALSE(plain.has_value());
  EXPECT_EQ(plain.error().errno_value, ENOTSUP);
  EXPECT_THAT(describe(plain.error()), HasSubstr("cgroup v2 is needed"));
  EXPECT_THAT(describe(plain.error()), HasSubstr(tree.path()));
  EXPECT_FALSE(Root::open(tree.path(), Verify::none)->is_cgroup2());
}

TEST(Cgroup, HasTheDirectorysInodeAsId) {
  const PlainTree tree;
  tree.make_cgroup("a.slice/b.service");
  struct stat status = {};
  ASSERT_EQ(::stat((tree / "a.slice/b.service").c_str(), &status), 0);
  const auto cgroup = Cgroup::open(tree.root(), "/a.slice/b.service");
  ASSERT_TRUE(cgroup.has_value()) << describe(cgroup.error());
  EXPECT_EQ((*cgroup)->id().value, status.st_ino);
  EXPECT_EQ((*cgroup)->path(), "/a.slice/b.service");
  EXPECT_EQ((*cgroup)->file_path("cpu.max"), tree / "a.slice/b.service/cpu.max");
  EXPECT_TRUE((*cgroup)->alive());
}

TEST(Cgroup, CanonicalizesItsPath) {
  const PlainTree tree;
  tree.make_cgroup("a/b");
  EXPECT_EQ(Cgroup::open(tree.root(), "a//b/").value()->path(), "/a/b");
  EXPECT_EQ(Cgroup::open(tree.root(), "/").value()->path(), "/");
  EXPECT_EQ(Cgroup::open(tree.root(), "/").value()->file_path("x"), tree / "x");
}

TEST(Cgroup, IsNotReachedThroughLinksOrDots) {
  const PlainTree tree;
  tree.make_cgroup("real/inner");
  std::filesystem::create_directory_symlink(tree / "real", tree / "link");
  EXPECT_EQ(errno_of_open(tree, "/real/inner"), 0);
  EXPECT_NE(errno_of_open(tree, "/link"), 0);
  EXPECT_NE(errno_of_open(tree, "/link/inner"), 0);
  EXPECT_EQ(errno_of_open(tree, "/real/../real"), EINVAL);
  EXPECT_EQ(errno_of_open(tree, "/./real"), EINVAL);
  EXPECT_EQ(errno_of_open(tree, std::string_view("/real\0x", 7)), EINVAL);
  EXPECT_EQ(errno_of_open(tree, "/absent"), ENOENT);
}

TEST(Cgroup, DoesNotFollowAKnobThatIsALink) {
  const PlainTree tree;
  tree.make_cgroup("a");
  tree.put("victim", "max 100000\n");
  tree.remove("a/cpu.max");
  std::filesystem::create_symlink(tree / "victim", tree / "a/cpu.max");
  const auto cgroup = Cgroup::open(tree.root(), "/a").value();
  EXPECT_EQ(cgroup->read_cpu_max().error().errno_value, ELOOP);
  EXPECT_EQ(cgroup->write(Knob::cpu_max, CpuMax{.quota = 1ms, .period = 1ms}).error().errno_value, ELOOP);
  EXPECT_EQ(tree.get("victim"), "max 100000\n");
}

TEST(Cgroup, ABurstGoesWithItsQuota) {
  const PlainTree tree;
  tree.make_cgroup("a");
  const auto cgroup = Cgroup::open(tree.root(), "/a").value();
  const CpuMax half{.quota = 50ms, .period = 100ms};
  const CpuMax bursts{.quota = 50ms, .period = 100ms, .burst = 20ms};
  ASSERT_TRUE(cgroup->write(Knob::cpu_max, half));
  EXPECT_EQ(cgroup->read(Knob::cpu_max), KnobValue(half)) << "a kernel before 5.14 has no burst";
  EXPECT_FALSE(tree.exists("a/cpu.max.burst"));
  tree.put("a/cpu.max.burst", "0\n");
  ASSERT_TRUE(cgroup->write(Knob::cpu_max, bursts));
  EXPECT_EQ(tree.get("a/cpu.max"), "50000 100000");
  EXPECT_EQ(tree.get("a/cpu.max.burst"), "20000");
  EXPECT_EQ(cgroup->read_cpu_max(), bursts);
  ASSERT_TRUE(cgroup->write(Knob::cpu_max, half));
  EXPECT_EQ(tree.get("a/cpu.max.burst"), "20000") << "nothing was said of it";
}

TEST(Cgroup, TakesAnyNameThatTheKernelTakes) {
  const PlainTree tree;
  for (const std::string& name :
       {std::string(255, 'x'), std::string("* [a] $(id)"), std::string("\x1b[2J\xff\xfe"), std::string("-rf"),
        std::string("memory.foo"), std::string("...")}) {
    tree.make_cgroup(name);
    const auto cgroup = Cgroup::open(tree.root(), "/" + name);
    ASSERT_TRUE(cgroup.has_value()) << describe(cgroup.error());
    EXPECT_EQ((*cgroup)->path(), "/" + name);
  }
}

TEST(Cgroup, ReadsAnewEachTimeFromOneOpenFile) {
  const PlainTree tree;
  tree.make_cgroup("a");
  const auto cgroup = Cgroup::open(tree.root(), "/a").value();
  EXPECT_EQ(cgroup->read_memory_high(), MemoryLimit{});
  tree.put("a/memory.high", "4096\n");
  EXPECT_EQ(cgroup->read_memory_high(), MemoryLimit{4096});
  std::filesystem::rename(tree / "a/memory.high", tree / "a/elsewhere");
  EXPECT_EQ(cgroup->read_memory_high(), MemoryLimit{4096}) << "the descriptor is kept";
  cgroup->close_files();
  EXPECT_EQ(cgroup->read_memory_high().error().errno_value, ENOENT);
}

TEST(Cgroup, LeavesTheLastDescriptorsForWriting) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {.rlim_cur = 160, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  {
    const PlainTree tree;
    const auto root = tree.root();
    std::vector<CgroupRef> cgroups;
    cgroups.reserve(60);
    for (int i = 0; i < 60; ++i) {
      tree.make_cgroup(std::to_string(i));
      cgroups.push_back(Cgroup::open(root, std::to_string(i)).value());
      EXPECT_TRUE(cgroups.back()->read_cpu_stat() && cgroups.back()->read_cpu_max() &&
                  cgroups.back()->read_memory_high());
    }
    for (const auto& cgroup : cgroups) EXPECT_TRUE(cgroup->write(Knob::cpu_max, CpuMax{}));
  }
  EXPECT_EQ(raise_fd_limit(), static_cast<int>(std::min<rlim_t>(before.rlim_max, INT32_MAX)));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(Cgroup, ErrorsNameTheFile) {
  const PlainTree tree;
  tree.make_cgroup("a");
  tree.put("a/cpu.max", "gibberish\n");
  tree.put("a/memory.stat", std::string(20'000, 'x'));
  const auto cgroup = Cgroup::open(tree.root(), "/a").value();
  const auto error = cgroup->read_cpu_max().error();
  EXPECT_EQ(error.errno_value, EBADMSG);
  EXPECT_EQ(error.path, tree / "a/cpu.max");
  EXPECT_THAT(describe(error), HasSubstr("gibberish"));
  EXPECT_EQ(cgroup->read_memory_current().error().path, tree / "a/memory.current");
  EXPECT_EQ(cgroup->read_memory_stat().error().errno_value, EFBIG) << "never half of a file";
}

TEST(Cgroup, KnowsWhichControllersItHas) {
  const PlainTree tree;
  tree.make_cgroup("a");
  tree.remove("a/cpu.max");
  const auto cgroup = Cgroup::open(tree.root(), "/a").value();
  EXPECT_FALSE(cgroup->has_cpu());
  EXPECT_TRUE(cgroup->has_memory());
  tree.put("a/cpu.max", "max 100000\n");
  EXPECT_TRUE(cgroup->has_cpu()) << "enabled later";
}

TEST(Cgroup, WritesTheKernelsSyntax) {
  const PlainTree tree;
  tree.make_cgroup("a");
  const auto cgroup = Cgroup::open(tree.root(), "/a").value();
  ASSERT_TRUE(cgroup->write(Knob::cpu_max, CpuMax{.quota = 50ms, .period = 100ms}));
  ASSERT_TRUE(cgroup->write(Knob::memory_high, MemoryLimit{8192}));
  EXPECT_EQ(tree.get("a/cpu.max").substr(0, 12), "50000 100000");
  EXPECT_EQ(tree.get("a/memory.high").substr(0, 4), "8192");
  EXPECT_EQ(cgroup->write(Knob::cpu_max, MemoryLimit{}).error().errno_value, EINVAL);
}

TEST(Cgroup, ALowerMemoryHighTakesWhatIsAboveItFromOutsideFirst) {
  const PlainTree tree;
  tree.make_cgroup("a");
  tree.put("a/memory.current", "1048576\n");
  const auto cgroup = Cgroup::open(tree.root(), "/a").value();
  ASSERT_TRUE(cgroup->write(Knob::memory_high, MemoryLimit{8192})) << "kernels before 5.19 have no such file";
  EXPECT_FALSE(tree.exists("a/memory.reclaim"));
  tree.put("a/memory.reclaim", "");
  ASSERT_TRUE(cgroup->write(Knob::memory_high, MemoryLimit{1 << 20}));
  ASSERT_TRUE(cgroup->write(Knob::memory_high, MemoryLimit{}));
  EXPECT_EQ(tree.get("a/memory.reclaim"), "") << "nothing is above the limit";
  ASSERT_TRUE(cgroup->write(Knob::memory_high, MemoryLimit{786432}));
  EXPECT_EQ(tree.get("a/memory.reclaim"), "262144");
  EXPECT_EQ(tree.get("a/memory.high").substr(0, 6), "786432");
}

TEST(Cgroup, StaysGoneWhenItsNameComesBack) {
  const PlainTree tree;
  tree.make_cgroup("a");
  const auto old = Cgroup::open(tree.root(), "/a").value();
  tree.remove("a");
  tree.make_cgroup("a");
  EXPECT_FALSE(old->alive());
  EXPECT_FALSE(old->has_cpu());
  EXPECT_TRUE(means_vanished(old->read_cpu_max().error()));
  EXPECT_TRUE(means_vanished(old->write(Knob::cpu_max, CpuMax{}).error()));
  EXPECT_TRUE(Cgroup::open(tree.root(), "/a").value()->alive());
}

TEST(Cgroup, MayBeReadByManyThreads) {
  const PlainTree tree;
  tree.make_cgroup("a");
  const auto cgroup = Cgroup::open(tree.root(), "/a").value();
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        if (cgroup->read_cpu_max() != CpuMax{}) ++wrong;
        if (!cgroup->read_cpu_stat()) ++wrong;
        cgroup->close_files();
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace sluice::cgroups
