#include "daemon/doctor/examine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "cgroups/fd.hpp"
#include "daemon/actuate/lease.hpp"
#include "daemon/doctor/read_text.hpp"
#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::doctor {
namespace {

using Saw = Look::Saw;
using test::PlainTree;
using testing::HasSubstr;

const std::string kBoot = "0f3a1c52-0000-4000-8000-00000000beef";

void put_proc(const PlainTree& tree) {
  tree.put("proc/stat", "cpu  1\ncpu0 1\nintr 0\n");
  tree.put("proc/meminfo", "MemTotal: 2048 kB\nSwapTotal: 1024 kB\nSwapFree: 9 kB\n");
  tree.put("proc/sys/kernel/random/boot_id", kBoot + "\n");
  for (const char* name : {"cpu", "memory", "io"})
    tree.put(std::string("proc/pressure/") + name, "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
}

Places places_in(const PlainTree& tree) {
  tree.make_dir("cgroup");
  return {.cgroup_root = tree / "cgroup",
          .any_filesystem = true,
          .proc_root = tree / "proc",
          .runtime_dir = tree / "run",
          .bus = "none",
          .bus_name = "org.sluice.Governor1"};
}

std::string lease_of(std::size_t baselines, const std::string& boot) {
  std::vector<LeaseEntry> entries(baselines);
  for (std::size_t i = 0; i < baselines; ++i)
    entries[i] = {CgroupId{i + 1}, "/a", Knob::cpu_max, CpuMax{}, {CpuMax{.quota = Usec(50'000)}}};
  return actuate::format_lease(entries, boot);
}

TEST(Examine, SeesAPlainTreeAndLeavesItAsItWas) {
  const PlainTree tree;
  put_proc(tree);
  const Places places = places_in(tree);
  tree.put("cgroup/cgroup.controllers", "cpu memory\n");
  tree.put("cgroup/cgroup.subtree_control", "cpu\n");
  tree.make_cgroup("cgroup/a.slice");
  tree.put("cgroup/a.slice/cpu.max.burst", "0\n");
  const HostFacts f = examine(places);
  EXPECT_EQ(f.procfs.saw, Saw::there) << f.procfs.detail;
  EXPECT_EQ(f.cgroup.root.saw, Saw::there);
  EXPECT_EQ(f.cgroup.offered, "cpu memory\n");
  EXPECT_EQ(f.cgroup.enabled, "cpu\n");
  EXPECT_EQ(f.cgroup.cpu_example, "/a.slice");
  EXPECT_TRUE(f.cgroup.has_burst);
  EXPECT_FALSE(f.cgroup.has_reclaim);
  for (const Look& look : f.pressure) EXPECT_TRUE(look.there()) << look.detail;
  EXPECT_EQ(f.swap_bytes, 1024u * 1024);
  EXPECT_FALSE(f.bus_asked);
  EXPECT_EQ(f.state.directory.saw, Saw::absent);
  EXPECT_FALSE(f.state.unusable) << f.state.directory.detail;
  EXPECT_FALSE(f.running.has_value());
  for (const Programs& p : f.programs)
    EXPECT_TRUE(p.loaded.empty()) << "a simulated host has no kernel programs";
  EXPECT_FALSE(tree.exists("run")) << "it was only looked for";
}

TEST(Examine, WithoutAnythingItStillAnswers) {
  const PlainTree tree;
  Places places = places_in(tree);
  places.cgroup_root = tree / "nowhere";
  const HostFacts f = examine(places);
  EXPECT_EQ(f.procfs.saw, Saw::absent);
  EXPECT_EQ(f.cgroup.root.saw, Saw::absent);
  EXPECT_THAT(f.cgroup.root.detail, HasSubstr("nowhere"));
  EXPECT_EQ(f.pressure[1].saw, Saw::absent);
  EXPECT_FALSE(f.swap_bytes.has_value());
}

TEST(Examine, ADirectoryIsNoCgroup2) {
  const PlainTree tree;
  put_proc(tree);
  Places places = places_in(tree);
  places.any_filesystem = false;
  EXPECT_THAT(examine_cgroups(places).root.detail, HasSubstr("cgroup v2 is needed"));
}

TEST(Examine, PressureThatIsNotPressureIsAbsent) {
  const PlainTree tree;
  put_proc(tree);
  const Places places = places_in(tree);
  tree.put("proc/pressure/memory", "");
  const HostFacts f = examine(places);
  EXPECT_TRUE(f.pressure[0].there());
  EXPECT_TRUE(f.pressure[1].absent());
}

TEST(Examine, TheDaemonIsWhoHoldsTheLockNotWhoLeftAFile) {
  const PlainTree tree;
  put_proc(tree);
  const Places places = places_in(tree);
  tree.put("run/lock", "4711\n");
  tree.put("proc/locks", "1: POSIX  ADVISORY  WRITE 12 00:01:99 0 EOF\n");
  EXPECT_FALSE(examine(places).running.has_value());
  struct stat lock = {};
  ASSERT_EQ(::stat((tree / "run/lock").c_str(), &lock), 0);
  std::array<char, 96> line{};
  std::snprintf(line.data(), line.size(), "2: FLOCK  ADVISORY  WRITE 815 %02x:%02x:%lu 0 EOF\n",
                major(lock.st_dev), minor(lock.st_dev), static_cast<unsigned long>(lock.st_ino));
  tree.put("proc/locks", std::string("1: POSIX  ADVISORY  WRITE 12 00:01:99 0 EOF\n") + line.data());
  EXPECT_EQ(examine(places).running, 815);
}

TEST(Examine, TheKernelTellsOfARealLock) {
  const PlainTree tree;
  put_proc(tree);
  Places places = places_in(tree);
  places.proc_root = "/proc";
  tree.put("run/lock", "");
  const cgroups::Fd held(::open((tree / "run/lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(held);
  EXPECT_FALSE(examine(places).running.has_value());
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  EXPECT_EQ(examine(places).running, ::getpid());
}

TEST(ExamineState, CountsALeaseByBootAndDamage) {
  const PlainTree tree;
  const auto gone = LeaseChange{{CgroupId{9}, Knob::cpu_max}, std::nullopt};
  tree.put("run/lease", lease_of(3, kBoot) + lease_of(2, "another") + "lease1 torn\n" +
                            actuate::format_lease_change(gone, kBoot) + "lease2 the daemon is just app");
  const StateFacts f = examine_state(tree / "run", kBoot);
  EXPECT_EQ(f.directory.saw, Saw::there);
  EXPECT_EQ(f.lease.saw, Saw::there);
  EXPECT_EQ(f.baselines, 3u);
  EXPECT_EQ(f.of_other_boots, 2u);
  EXPECT_EQ(f.damaged_lines, 1u);
  EXPECT_TRUE(tree.exists("run/lease"));
  EXPECT_FALSE(tree.exists("run/lease.corrupt")) << "mending is the daemon's";
}

TEST(ExamineState, SaysWhyItCannotBeUsed) {
  const PlainTree tree;
  tree.put("file", "");
  EXPECT_THAT(examine_state(tree / "file", kBoot).directory.detail, HasSubstr("ENOTDIR"));
  EXPECT_TRUE(examine_state(tree / "file", kBoot).unusable);
  EXPECT_TRUE(examine_state(tree / "file/below", kBoot).unusable);
  EXPECT_TRUE(examine_state(tree / "no/parent", kBoot).unusable) << "the daemon makes one directory, not two";
  EXPECT_FALSE(examine_state(tree / "fresh/", kBoot).unusable);

  tree.make_dir("open");
  ASSERT_EQ(::chmod((tree / "open").c_str(), 0777), 0);
  EXPECT_THAT(examine_state(tree / "open", kBoot).directory.detail, HasSubstr("others can write"));

  tree.make_dir("odd");
  std::filesystem::create_symlink("/etc/passwd", tree / "odd/lease");
  EXPECT_TRUE(examine_state(tree / "odd", kBoot).unusable) << "the daemon follows no link";
  tree.remove("odd/lease");
  ASSERT_EQ(::mkfifo((tree / "odd/lease").c_str(), 0600), 0);
  EXPECT_TRUE(examine_state(tree / "odd", kBoot).unusable);
  EXPECT_THAT(examine_state(tree / "odd", kBoot).directory.detail, HasSubstr("no regular file"));
}

TEST(ExamineBus, OneThatDoesNotAnswerOrIsNotThereIsAbsent) {
  HostFacts facts;
  Places places;
  places.bus = "unix:path=/nowhere/bus";
  places.bus_name = "org.sluice.Governor1";
  examine_bus(places, facts);
  EXPECT_EQ(facts.bus.saw, Saw::absent);
  EXPECT_THAT(facts.bus.detail, HasSubstr("ENOENT"));
  places.bus = "no address at all";
  examine_bus(places, facts);
  EXPECT_EQ(facts.bus.saw, Saw::absent);

  const PlainTree tree;  // listens, but never replies
  sockaddr_un at{.sun_family = AF_UNIX, .sun_path = {}};
  std::snprintf(at.sun_path, sizeof at.sun_path, "%s", (tree / "mute").c_str());
  const cgroups::Fd mute(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(mute.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(mute.get(), 4), 0);
  places.bus = "unix:path=" + (tree / "mute");
  examine_bus(places, facts);
  EXPECT_EQ(facts.bus.saw, Saw::absent);
  EXPECT_THAT(facts.bus.detail, HasSubstr("ETIMEDOUT"));

  const cgroups::Fd leaver(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));  // closes every connection
  std::snprintf(at.sun_path, sizeof at.sun_path, "%s", (tree / "leaver").c_str());
  ASSERT_EQ(::bind(leaver.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(leaver.get(), 4), 0);
  std::thread hang_up([&] { ::close(::accept(leaver.get(), nullptr, nullptr)); });
  places.bus = "unix:path=" + (tree / "leaver");
  examine_bus(places, facts);
  hang_up.join();
  EXPECT_EQ(facts.bus.saw, Saw::absent) << facts.bus.detail << facts.bus_name.detail;
}

TEST(ReadText, StopsAtItsLimitAndTellsErrors) {
  const PlainTree tree;
  tree.put("a", "12345");
  EXPECT_EQ(read_text(tree / "a", 5), "12345");
  EXPECT_EQ(read_text(tree / "a", 4).error(), EFBIG);
  EXPECT_EQ(read_text(tree / "b", 4).error(), ENOENT);
  EXPECT_EQ(read_text(tree.path(), 4).error(), EISDIR);
  EXPECT_EQ(failed_look(EACCES, "read", "/x").saw, Saw::barred);
  EXPECT_EQ(failed_look(ENOENT, "read", "/x").saw, Saw::absent);
}

}  // namespace
}  // namespace sluice::doctor
