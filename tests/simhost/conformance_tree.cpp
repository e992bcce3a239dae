// The tree: names, ids, removal during reads, controllers, directory permissions.
#include <linux/capability.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cstring>

#include "tests/simhost/conformance.hpp"

namespace conformance {

using Tree = Conformance;

int make(const std::string& path) {
  return mkdir(path.c_str(), 0755) == 0 ? 0 : errno;
}
int remove(const std::string& path) {
  return rmdir(path.c_str()) == 0 ? 0 : errno;
}

TEST_F(Tree, AHeldFileSaysEnodevAfterRemoval) {
  ASSERT_EQ(make(file("child")), 0);
  const Fd held = open_file(file("child/cpu.stat"));
  const Fd writable = open_file(file("child/cgroup.procs"), O_RDWR);
  ASSERT_EQ(read_errno(held.get()), 0);
  ASSERT_EQ(remove(file("child")), 0);
  EXPECT_EQ(read_errno(held.get()), ENODEV);
  EXPECT_EQ(write_fd(writable.get(), "1"), ENODEV);
  struct stat attr {};
  EXPECT_EQ(fstat(held.get(), &attr), 0);
  ASSERT_EQ(make(file("child")), 0);  // a new cgroup of the same name does not change the old file
  EXPECT_EQ(read_errno(held.get()), ENODEV);
}

TEST_F(Tree, OpeningARemovedFileSaysEnoent) {
  ASSERT_EQ(make(file("child")), 0);
  ASSERT_EQ(remove(file("child")), 0);
  EXPECT_EQ(open(file("child/cpu.stat").c_str(), O_RDONLY), -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(Tree, AStaleDirectoryStaysStaleWhenTheNameReturns) {
  ASSERT_EQ(make(file("child")), 0);
  const Fd directory = open_file(file("child"), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(remove(file("child")), 0);
  EXPECT_EQ(openat(directory.get(), "cpu.stat", O_RDONLY), -1);
  EXPECT_EQ(errno, ENOENT);
  ASSERT_EQ(make(file("child")), 0);
  EXPECT_EQ(openat(directory.get(), "cpu.stat", O_RDONLY), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(mkdirat(directory.get(), "x", 0755), -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(Tree, IdsAreNeverReused) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(make(file("child")), 0);
    EXPECT_TRUE(seen.insert(inode(file("child"))).second) << "the id of an earlier cgroup came back";
    ASSERT_EQ(remove(file("child")), 0);
  }
}

TEST_F(Tree, OnlyANewlineIsRefusedInNames) {
  EXPECT_EQ(make(file("a\nb")), EINVAL);
  for (const std::string& name :
       {std::string("*"), std::string("a b"), std::string("\x1b[31m"), std::string("-rf"),
        std::string("$(id)"), std::string("memory.foo"), std::string("\xff\xfe"), std::string("a\\x20b"),
        std::string("\x01\x7f"), std::string(255, 'x')}) {
    EXPECT_EQ(make(file(name)), 0) << name;
    EXPECT_TRUE(list(cgroup).contains(name)) << name;
    EXPECT_EQ(access(file(name + "/cgroup.procs").c_str(), F_OK), 0) << name;
    EXPECT_EQ(remove(file(name)), 0) << name;
  }
}

TEST_F(Tree, NamesMayBeLongerThan255Bytes) {
  const std::string name(256, 'y');
  EXPECT_EQ(make(file(name)), 0);
  EXPECT_EQ(remove(file(name)), 0);
}

TEST_F(Tree, ATakenNameIsRefused) {
  ASSERT_EQ(make(file("child")), 0);
  EXPECT_EQ(make(file("child")), EEXIST);
  EXPECT_EQ(make(file("cpu.max")), EEXIST);
  EXPECT_EQ(make(file("cgroup.procs")), EEXIST);
}

TEST_F(Tree, RemovalNeedsAnEmptyCgroup) {
  ASSERT_EQ(make(file("child")), 0);
  ASSERT_EQ(make(file("child/grandchild")), 0);
  EXPECT_EQ(remove(file("child")), EBUSY);
  EXPECT_EQ(remove(file("cpu.max")), ENOTDIR);
  EXPECT_EQ(remove(file("nothing")), ENOENT);
  ASSERT_EQ(remove(file("child/grandchild")), 0);
  EXPECT_EQ(remove(file("child")), 0);
}

TEST_F(Tree, NothingElseCanBeMadeOrRenamed) {
  ASSERT_EQ(make(file("child")), 0);
  EXPECT_EQ(rename(file("child").c_str(), file("other").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(symlink("child", file("link").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(link(file("cpu.max").c_str(), file("link").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(unlink(file("cpu.max").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(open(file("new").c_str(), O_WRONLY | O_CREAT, 0644), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(mknod(file("node").c_str(), S_IFREG | 0644, 0), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(mkfifo(file("pipe").c_str(), 0644), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST_F(Tree, FilesComeAndGoWithTheirController) {
  ASSERT_EQ(make(file("child")), 0);
  const auto child = [&] { return list(file("child")); };
  for (const char* name :
       {"cgroup.procs", "cgroup.events", "cgroup.type", "cpu.stat", "cpu.pressure", "memory.pressure"}) {
    EXPECT_TRUE(child().contains(name)) << name;
  }
  EXPECT_FALSE(child().contains("cpu.max"));
  EXPECT_FALSE(child().contains("memory.high"));
  EXPECT_EQ(read("child/cgroup.controllers"), "");
  ASSERT_EQ(write("cgroup.subtree_control", "+cpu +memory"), 0);
  EXPECT_TRUE(child().contains("cpu.max"));
  EXPECT_TRUE(child().contains("memory.high"));
  EXPECT_EQ(read("child/cgroup.controllers"), "cpu memory\n");

  const Fd held = open_file(file("child/cpu.max"));
  ASSERT_EQ(write_to(file("child/cpu.max"), "50000 100000"), 0);
  ASSERT_EQ(write("cgroup.subtree_control", "-cpu"), 0);
  EXPECT_FALSE(child().contains("cpu.max"));
  EXPECT_TRUE(child().contains("memory.high"));
  EXPECT_EQ(read_errno(held.get()), ENODEV);
  ASSERT_EQ(write("cgroup.subtree_control", "+cpu"), 0);
  EXPECT_EQ(read("child/cpu.max"), "max 100000\n") << "a controller that returns starts anew";
}

TEST_F(Tree, SubtreeControlRefusesNonsense) {
  for (const char* text : {"cpu", "+nonsense", "*cpu", "+cpu,+memory"}) {
    EXPECT_EQ(write("cgroup.subtree_control", text), EINVAL) << text;
  }
  EXPECT_EQ(write("cgroup.subtree_control", ""), 0);
  EXPECT_EQ(write("cgroup.subtree_control", " \n"), 0);
  ASSERT_EQ(make(file("child")), 0);
  EXPECT_EQ(write("child/cgroup.subtree_control", "+cpu"), ENOENT) << "its parent gives it none";
  ASSERT_EQ(write("cgroup.subtree_control", "+cpu"), 0);
  ASSERT_EQ(write("child/cgroup.subtree_control", "+cpu"), 0);
  EXPECT_EQ(write("cgroup.subtree_control", "-cpu"), EBUSY) << "a child still hands it on";
}

TEST_F(Tree, ProcsRefusesWhatIsNoProcess) {
  EXPECT_EQ(read("cgroup.procs"), "");
  EXPECT_EQ(write("cgroup.procs", "x"), EINVAL);
  EXPECT_EQ(write("cgroup.procs", "-1"), EINVAL);
  EXPECT_EQ(write("cgroup.procs", "4194304"), ESRCH);  // above any pid_max
}

TEST_F(Tree, FreezeIsABitAndShowsInEvents) {
  EXPECT_EQ(read("cgroup.events"), "populated 0\nfrozen 0\n");
  EXPECT_EQ(read("cgroup.type"), "domain\n");
  EXPECT_HOLDS("cgroup.freeze", "1", "1\n");
  EXPECT_EQ(field(file("cgroup.events"), "frozen"), 1U);
  ASSERT_EQ(make(file("child")), 0);
  EXPECT_EQ(field(file("child/cgroup.events"), "frozen"), 1U) << "with its parent";
  EXPECT_EQ(read("child/cgroup.freeze"), "0\n") << "its own bit";
  EXPECT_HOLDS("cgroup.freeze", "0", "0\n");
  EXPECT_EQ(field(file("child/cgroup.events"), "frozen"), 0U);
  EXPECT_REFUSED("cgroup.freeze", "2", ERANGE);
  EXPECT_REFUSED("cgroup.freeze", "x", EINVAL);
}

TEST_F(Tree, FilesHaveNoSizeAndCanBeReadInPieces) {
  struct stat attr {};
  ASSERT_EQ(stat(file("memory.stat").c_str(), &attr), 0);
  EXPECT_EQ(attr.st_size, 0);
  EXPECT_EQ(attr.st_mode, S_IFREG | 0444U);
  const std::string whole = read("cpu.stat");
  const Fd fd = open_file(file("cpu.stat"));
  std::string pieces;
  char c = 0;
  while (::read(fd.get(), &c, 1) == 1) pieces += c;
  EXPECT_EQ(pieces, whole);
  EXPECT_EQ(pread(fd.get(), &c, 1, 1'000'000), 0);
}

TEST_F(Tree, AKeptFileShowsTheNewValue) {
  const Fd fd = open_file(file("cpu.max"));
  char buffer[64] = {};
  ASSERT_GT(pread(fd.get(), buffer, sizeof buffer, 0), 0);
  ASSERT_EQ(write("cpu.max", "12345 100000"), 0);
  const ssize_t got = pread(fd.get(), buffer, sizeof buffer, 0);
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0))), "12345 100000\n");
}

TEST_F(Tree, OwnersAndModesCanBeGivenAway) {
  ASSERT_EQ(chown(file("cpu.max").c_str(), capable(CAP_CHOWN) ? 1234 : geteuid(), getegid()), 0);
  ASSERT_EQ(chmod(file("cpu.max").c_str(), 0600), 0);
  struct stat attr {};
  ASSERT_EQ(stat(file("cpu.max").c_str(), &attr), 0);
  EXPECT_EQ(attr.st_mode, S_IFREG | 0600U);
  EXPECT_EQ(attr.st_uid, capable(CAP_CHOWN) ? 1234U : geteuid());
}

TEST_F(Tree, ExtendedAttributesStick) {
  ASSERT_EQ(setxattr(cgroup.c_str(), "user.sluice", "on", 2, 0), 0) << std::strerror(errno);
  char buffer[16] = {};
  ASSERT_EQ(getxattr(cgroup.c_str(), "user.sluice", buffer, sizeof buffer), 2);
  EXPECT_STREQ(buffer, "on");
  EXPECT_EQ(getxattr(cgroup.c_str(), "user.other", buffer, sizeof buffer), -1);
  EXPECT_EQ(errno, ENODATA);
  EXPECT_EQ(removexattr(cgroup.c_str(), "user.sluice"), 0);
  EXPECT_EQ(getxattr(cgroup.c_str(), "user.sluice", buffer, sizeof buffer), -1);
}

TEST_F(Tree, InotifySeesCgroupsAndWrites) {
  const Fd watcher(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  const auto saw = [&](std::uint32_t mask) {
    char buffer[4096] __attribute__((aligned(8)));
    const ssize_t got = ::read(watcher.get(), buffer, sizeof buffer);
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      if ((event->mask & mask) == mask) return true;
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
    return false;
  };
  ASSERT_GE(inotify_add_watch(watcher.get(), cgroup.c_str(), IN_CREATE | IN_DELETE), 0);
  ASSERT_EQ(make(file("child")), 0);
  EXPECT_TRUE(saw(IN_CREATE | IN_ISDIR));
  ASSERT_EQ(remove(file("child")), 0);
  EXPECT_TRUE(saw(IN_DELETE | IN_ISDIR));
  ASSERT_GE(inotify_add_watch(watcher.get(), file("cpu.max").c_str(), IN_MODIFY), 0);
  ASSERT_EQ(write("cpu.max", "50000 100000"), 0);
  EXPECT_TRUE(saw(IN_MODIFY));
}

TEST_F(Tree, AReadOnlyMountRefusesWrites) {
  if (!capable(CAP_SYS_ADMIN)) GTEST_SKIP() << "needs CAP_SYS_ADMIN, to mount";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const char* root = options().root.c_str();
    // The exit status is the number of the failed step.
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      _exit(1);
    if (mount(root, root, nullptr, MS_BIND, nullptr) != 0) _exit(2);
    if (mount(nullptr, root, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0) _exit(3);
    if (open(file("cpu.max").c_str(), O_WRONLY) != -1 || errno != EROFS) _exit(4);
    if (mkdir(file("child").c_str(), 0755) != -1 || errno != EROFS) _exit(5);
    if (open(file("cpu.max").c_str(), O_RDONLY) == -1) _exit(6);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace conformance
