// A task with a small hot set and a large cold one: anonymous memory that is touched all the time, and a file
// in the page cache that was read once. On SIGUSR1 its hot set grows: more anonymous memory, and a part of
// the cold file becomes hot.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "tests/kernel/load/ages.hpp"
#include "tests/kernel/load/clock.hpp"

namespace {

using namespace sluice::load;

constexpr std::size_t kMiB = 1 << 20, kPage = 4096;

volatile std::sig_atomic_t grow_requested = 0;

struct Options {
  std::string file = "/var/tmp/memory_task.data";
  std::size_t hot_anon_mib = 48, cold_file_mib = 256;
  std::size_t grow_anon_mib = 48, grow_file_mib = 96;
  int pass_ms = 100;
};

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

// Written by this process, so that its pages are charged to this cgroup; synced, so that they are clean and
// can be freed; read once, as in a scan.
int make_file(const Options& o) {
  const int fd = open(o.file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) fail(o.file);
  unlink(o.file.c_str());
  std::string block(kMiB, 'x');
  for (std::size_t i = 0; i < o.cold_file_mib; ++i) {
    block[0] = static_cast<char>(i);
    if (write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) fail(o.file);
  }
  if (fdatasync(fd) != 0) fail(o.file);
  return fd;
}

void read_part(int fd, const Options& o, std::size_t mib) {
  static char buffer[64 * 1024];
  for (std::size_t at = 0; at < mib * kMiB; at += sizeof buffer) {
    if (pread(fd, buffer, sizeof buffer, static_cast<off_t>(at)) < 0) fail(o.file);
  }
}

class Anon {
 public:
  explicit Anon(std::size_t bytes) : size_(bytes) {
    if (bytes == 0) return;
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) fail("mmap");
    data_ = static_cast<volatile char*>(p);
  }
  void touch() const {
    for (std::size_t at = 0; at < size_; at += kPage) data_[at] = static_cast<char>(data_[at] + 1);
  }

 private:
  volatile char* data_ = nullptr;
  std::size_t size_;
};

int run(const Options& o) {
  stop_on_signals();
  struct sigaction action {};
  action.sa_handler = [](int) { grow_requested = 1; };
  sigaction(SIGUSR1, &action, nullptr);

  const int fd = make_file(o);
  const Anon hot(o.hot_anon_mib * kMiB), more(o.grow_anon_mib * kMiB);
  std::int64_t grown_at = 0;
  double first_pass_ms = 0;  // of the grown set, which must be read in
  Ages before, after, second;
  fmt::print("ready\n");
  std::fflush(stdout);
  std::int64_t told = now_usec();
  for (std::int64_t wake = told; !stop_requested; wake = std::max(wake + o.pass_ms * 1000, now_usec())) {
    sleep_until_usec(wake);
    const std::int64_t start = now_usec();
    const bool first = grow_requested && grown_at == 0;
    if (first) grown_at = start;
    hot.touch();
    if (grown_at != 0) {
      more.touch();
      read_part(fd, o, o.grow_file_mib);
    }
    const std::int64_t took = now_usec() - start;
    if (first) first_pass_ms = static_cast<double>(took) / 1000;
    (grown_at != 0 ? after : before).add(took);
    second.add(took);
    if (now_usec() - told >= 1'000'000) {
      fmt::print("passes {} slowest_ms {:.1f}\n", second.count(), second.quantile_ms(1));
      std::fflush(stdout);
      second = {};
      told = now_usec();
    }
  }
  fmt::print(
      R"({{"passes_before": {}, "pass_p50_before_ms": {:.2f}, "pass_max_before_ms": {:.2f}, "grown_at_usec": {}, )"
      R"("first_grown_pass_ms": {:.2f}, "passes_after": {}, "pass_p50_after_ms": {:.2f}, "pass_max_after_ms": {:.2f}}})"
      "\n",
      before.count(), before.quantile_ms(0.5), before.quantile_ms(1), grown_at, first_pass_ms, after.count(),
      after.quantile_ms(0.5), after.quantile_ms(1));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Hot anonymous memory, a cold page cache, and growth on SIGUSR1", "memory_task"};
  app.add_option("--file", o.file, "made, and unlinked at once")->capture_default_str();
  app.add_option("--hot-anon-mib", o.hot_anon_mib)->capture_default_str();
  app.add_option("--cold-file-mib", o.cold_file_mib)->capture_default_str();
  app.add_option("--grow-anon-mib", o.grow_anon_mib)->capture_default_str();
  app.add_option("--grow-file-mib", o.grow_file_mib, "of the cold file")->capture_default_str();
  app.add_option("--pass-ms", o.pass_ms, "from pass to pass over the hot set")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    if (o.grow_file_mib > o.cold_file_mib)
      throw std::runtime_error("--grow-file-mib is above --cold-file-mib");
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "memory_task: {}\n", e.what());
    return 1;
  }
}
