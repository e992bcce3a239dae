#include "tests/kernel/bpf/tree.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace sluice::kernel_test {
namespace {

std::filesystem::path the_root;

[[noreturn]] void give_up(const std::string& what, const std::filesystem::path& path, int os_error) {
  throw std::runtime_error(what + " " + path.string() + ": " + std::strerror(os_error));
}

void stay_on(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(cpu) % static_cast<std::size_t>(sysconf(_SC_NPROCESSORS_ONLN)), &cpus);
  if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0) _exit(1);
}

}  // namespace

std::filesystem::path root() {
  return the_root;
}
void set_root(std::filesystem::path path) {
  the_root = std::move(path);
}

std::string read_text(const std::filesystem::path& file) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) give_up("opening", file, errno);
  char text[16384];
  const ssize_t got = read(fd, text, sizeof(text));
  const int os_error = errno;
  close(fd);
  if (got < 0) give_up("reading", file, os_error);
  return std::string(text, static_cast<std::size_t>(got));
}

void write_text(const std::filesystem::path& file, const std::string& text) {
  const int fd = open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) give_up("opening", file, errno);
  const ssize_t put = write(fd, text.data(), text.size());
  const int os_error = errno;
  close(fd);
  if (put < 0) give_up("writing '" + text + "' to", file, os_error);
}

std::map<std::string, std::uint64_t> read_keyed(const std::filesystem::path& file) {
  std::map<std::string, std::uint64_t> values;
  std::istringstream text(read_text(file));
  std::string key;
  for (std::uint64_t value = 0; text >> key >> value;) values[key] = value;
  return values;
}

std::map<std::string, std::uint64_t> read_pressure(const std::filesystem::path& file) {
  std::map<std::string, std::uint64_t> totals;
  std::istringstream text(read_text(file));
  for (std::string line; std::getline(text, line);)
    totals[line.substr(0, line.find(' '))] = std::stoull(line.substr(line.find("total=") + 6));
  return totals;
}

std::uint64_t read_limit(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  return text.starts_with("max") ? UINT64_MAX : std::stoull(text);
}

Cgroup::Cgroup(const std::filesystem::path& path) : path_(path) {
  if (mkdir(path.c_str(), 0755) != 0) give_up("making", path, errno);
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) give_up("looking at", path, errno);
  id_ = status.st_ino;
}

Cgroup::Cgroup(Cgroup&& other) noexcept
    : path_(std::move(other.path_)), id_(other.id_), children_(std::move(other.children_)) {
  other.path_.clear();
  other.children_.clear();
}

Cgroup::~Cgroup() {
  if (path_.empty()) return;
  try {
    write_text(path_ / "cgroup.kill", "1");  // grandchildren too
  } catch (const std::runtime_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  for (const int pid : children_) waitpid(pid, nullptr, 0);
  for (int attempt = 0; attempt < 100 && rmdir(path_.c_str()) != 0 && errno == EBUSY; ++attempt)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // its last task is still exiting
}

void Cgroup::run(const std::function<void()>& body, int cpu) {
  const int pid = fork();
  if (pid < 0) give_up("forking into", path_, errno);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (cpu >= 0) stay_on(cpu);
    write_text(path_ / "cgroup.procs", "0");
    if (cpu >= 0) stay_on(cpu);  // joining a cgroup may have reset it
    usleep(1);                   // leaves the CPU once, so that programs at switches have seen it join
    for (;;) body();
  }
  children_.push_back(pid);
}

void wait_until(const std::function<bool()>& condition, const std::string& what) {
  using Clock = std::chrono::steady_clock;
  for (const auto end = Clock::now() + std::chrono::minutes(1); !condition();) {
    if (Clock::now() > end) throw std::runtime_error("not within a minute: " + what);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void burn_cpu() {
  for (int i = 0; i < 1'000'000; ++i) asm volatile("");
}

void call_kernel() {
  const int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  char page[4096];
  for (int i = 0; i < 1000; ++i)
    if (read(fd, page, sizeof(page)) < 0) _exit(1);
  close(fd);
}

void read_through(const std::filesystem::path& file) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) _exit(1);
  static char block[1 << 16];
  while (read(fd, block, sizeof(block)) > 0) {
  }
  close(fd);
}

void write_file(const std::filesystem::path& file, std::size_t bytes) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) give_up("making", file, errno);
  const std::string block(1 << 20, 'x');
  for (std::size_t at = 0; at < bytes; at += block.size())
    if (write(fd, block.data(), block.size()) < 0) give_up("filling", file, errno);
  if (fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
    give_up("emptying the cache of", file, errno);
  close(fd);
}

void touch_anonymous(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) _exit(1);
  for (std::size_t at = 0; at < bytes; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
}

}  // namespace sluice::kernel_test
