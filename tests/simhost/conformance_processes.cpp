#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "tests/simhost/conformance.hpp"
#include "tests/simhost/conformance_load.hpp"

namespace conformance {
namespace {

constexpr std::size_t kMib = 1 << 20;

[[noreturn]] void spin() {
  volatile unsigned long long turns = 0;
  for (;;) turns = turns + 1;
}

void touch(std::size_t mib) {
  void* memory = mmap(nullptr, mib * kMib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) _exit(9);
  // Touched page by page: madvise or a large page would charge everything at once.
  for (std::size_t at = 0; at < mib * kMib; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
}

[[noreturn]] void grow(unsigned mib_s) {
  for (;;) {
    touch(1);
    usleep(1'000'000 / mib_s);
  }
}

// Writes, syncs and reads a file, so that its pages belong to this cgroup.
void fill_cache(unsigned mib) {
  const char* folder = std::getenv("TMPDIR");
  std::string path = std::string(folder != nullptr ? folder : "/var/tmp") + "/conformance.XXXXXX";
  const int fd = mkstemp(path.data());
  if (fd < 0) _exit(8);
  unlink(path.c_str());
  std::string block(kMib, 'c');
  for (unsigned i = 0; i < mib; ++i) {
    if (write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) _exit(7);
  }
  fsync(fd);
  for (unsigned i = 0; i < mib; ++i) {
    if (pread(fd, block.data(), block.size(), static_cast<off_t>(i * kMib)) <= 0) _exit(6);
  }
}

// A process in the cgroup. Returns when `first` has run; then the process continues with `then`.
pid_t in_cgroup(const std::string& cgroup, const std::function<void()>& first,
                const std::function<void()>& then) {
  int ready[2];
  if (pipe(ready) != 0) return -1;
  const pid_t pid = fork();
  if (pid == 0) {
    close(ready[0]);
    if (write_to(cgroup + "/cgroup.procs", "0") != 0) _exit(5);
    first();
    if (write(ready[1], "r", 1) != 1) _exit(4);
    close(ready[1]);
    then();
    for (;;) pause();
  }
  close(ready[1]);
  char byte = 0;
  EXPECT_EQ(read(ready[0], &byte, 1), 1) << "the process in " << cgroup << " died before its load stood";
  close(ready[0]);
  return pid;
}

}  // namespace

Load::Load(const std::string& cgroup, const LoadSpec& spec) : cgroup_(cgroup) {
  if (!options().control.empty()) {
    const std::string path = cgroup.substr(options().root.size());
    std::string line = "add " + path + " load=0 kernel=0 spin_threads=" + std::to_string(spec.spin) +
                       " file_cold=" + std::to_string(spec.cache_mib) + "MiB";
    if (spec.grow_mib_s > 0) {
      line += " anon_mib=leak:base=" + std::to_string(spec.anon_mib) +
              ",slope=" + std::to_string(spec.grow_mib_s) + ",start=now";
    } else {
      line += " anon=" + std::to_string(spec.anon_mib) + "MiB";
    }
    control(line);
    return;
  }
  const auto nothing = [] {};
  for (unsigned i = 0; i < spec.spin; ++i) children_.push_back(in_cgroup(cgroup, nothing, spin));
  if (spec.cache_mib > 0) {
    children_.push_back(in_cgroup(
        cgroup, [&] { fill_cache(spec.cache_mib); }, nothing));
  }
  if (spec.anon_mib > 0 || spec.grow_mib_s > 0) {
    children_.push_back(in_cgroup(
        cgroup, [&] { touch(spec.anon_mib); },
        [&] {
          if (spec.grow_mib_s > 0) grow(spec.grow_mib_s);
        }));
  }
}

void Load::stop() {
  if (!std::exchange(running_, false)) return;
  if (!options().control.empty()) {
    control("kill " + cgroup_.substr(options().root.size()));
    return;
  }
  for (const pid_t pid : children_) kill(pid, SIGKILL);
  for (const pid_t pid : children_) waitpid(pid, nullptr, 0);
  for (int i = 0; i < 100 && field(cgroup_ + "/cgroup.events", "populated") != 0; ++i) usleep(20'000);
}

}  // namespace conformance
