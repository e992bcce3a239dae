#include "tests/demo/sandbox.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace sluice::demo {
namespace {

bool write_text(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.flush();
  return file.good();
}

// Root makes a mount namespace; anybody else makes one inside of a user namespace, where the kernel allows
// that. Without either the mount is made by fusermount3 in the open, and the guardian takes it away.
void hide_mounts() {
  const std::string uid = std::to_string(geteuid());
  const std::string gid = std::to_string(getegid());
  if (geteuid() == 0) {
    if (unshare(CLONE_NEWNS) != 0) return;
  } else {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return;
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 " + uid + " 1");
    write_text("/proc/self/gid_map", "0 " + gid + " 1");
  }
  mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
}

void take_away(const std::string& folder, const std::string& mountpoint) {
  if (umount2(mountpoint.c_str(), MNT_DETACH) != 0 && errno == EPERM) {
    const pid_t pid = fork();
    if (pid == 0) {
      execlp("fusermount3", "fusermount3", "-u", "-z", mountpoint.c_str(), nullptr);
      _exit(127);
    }
    waitpid(pid, nullptr, 0);
  }
  // A process that is being ended may still write: try until the folder stays away.
  for (int i = 0; i < 50; ++i) {
    std::error_code error;
    std::filesystem::remove_all(folder, error);
    if (!error && !std::filesystem::exists(folder)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// Its own session: neither Ctrl-C nor the terminal's end reaches it. It holds nothing of its parent's open.
[[noreturn]] void guard(int demo_ended, const std::string& folder, const std::string& mountpoint) {
  setsid();
  prctl(PR_SET_NAME, "sluice-demo-end");
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_IGN);
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
  const long most = sysconf(_SC_OPEN_MAX);
  for (int fd = 3; fd < std::min(most, 1024L); ++fd) {
    if (fd != demo_ended) close(fd);
  }
  char byte = 0;
  while (read(demo_ended, &byte, 1) < 0 && errno == EINTR) {
  }
  take_away(folder, mountpoint);
  _exit(0);
}

}  // namespace

tl::expected<Sandbox, std::string> Sandbox::enter() {
  hide_mounts();
  const char* tmp = std::getenv("TMPDIR");
  std::string folder = std::string(tmp != nullptr && *tmp != '\0' ? tmp : "/tmp") + "/sluice-demo.XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    return tl::unexpected("cannot make a folder like '" + folder + "': " + std::strerror(errno) +
                          "; set TMPDIR to one where you may write");
  }
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected(std::string("pipe: ") + std::strerror(errno));
  const std::string mountpoint = folder + "/cgroup";
  const pid_t guardian = fork();
  if (guardian < 0) return tl::unexpected(std::string("fork: ") + std::strerror(errno));
  if (guardian == 0) guard(ends[0], folder, mountpoint);
  close(ends[0]);
  Sandbox out(folder, ends[1], guardian);
  for (const char* part : {"cgroup", "proc", "state", "run"}) {
    if (mkdir((folder + "/" + part).c_str(), 0700) != 0)
      return tl::unexpected("cannot make '" + folder + "/" + part + "': " + std::strerror(errno));
  }
  return out;
}

Sandbox::~Sandbox() {
  if (alive_ < 0) return;
  close(alive_);
  while (waitpid(guardian_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace sluice::demo
