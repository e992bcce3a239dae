// Common parts of conformance tests: a cgroup per test below ROOT/sluice-conformance, and calls that keep
// errno.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cgroups/fd.hpp"

namespace conformance {

using sluice::cgroups::Fd;

struct Options {
  std::string root;
  std::string control;  // the simulated host's socket; empty: a real kernel, with real processes as load
  std::uint64_t psi_window_min_usec = 0;  // 0: unknown, not tested
};
Options& options();

Fd open_file(const std::string& path, int flags = O_RDONLY);
// 0, or the errno of open or write. A short write fails the test.
int write_to(const std::string& path, std::string_view data);
int write_fd(int fd, std::string_view data);
std::string read_from(const std::string& path);  // a failure fails the test
int read_errno(int fd);                          // errno of a read at offset 0
short poll_now(int fd, int timeout_ms = 0);      // the result for POLLPRI
std::uint64_t field(const std::string& path,
                    std::string_view key);  // "key value" lines; missing fails the test
std::uint64_t psi_total(const std::string& path, std::string_view line);
std::set<std::string> list(const std::string& directory);
std::uint64_t inode(const std::string& path);
// Whether this process has a capability (CAP_..., linux/capability.h). Root in a container has few.
bool capable(int capability);
// Sends one line to the simulated host and returns its reply.
std::string control(const std::string& line);

class Conformance : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // The path of a file of this test's cgroup.
  std::string file(std::string_view name) const { return cgroup + "/" + std::string(name); }
  int write(std::string_view name, std::string_view data) const { return write_to(file(name), data); }
  std::string read(std::string_view name) const { return read_from(file(name)); }
  // The cgroup's path for the simulated host's control socket.
  std::string model_path() const { return cgroup.substr(options().root.size()); }

  std::string cgroup;
};

// Call once: creates ROOT/sluice-conformance with cpu and memory enabled for its children. False: the reason
// is on stderr.
bool prepare();
void clean_up();
void remove_tree(const std::string& directory);

// Expects that a write succeeds, and that the file then holds `held`.
#define EXPECT_HOLDS(name, written, held)          \
  do {                                             \
    EXPECT_EQ(write(name, written), 0) << written; \
    EXPECT_EQ(read(name), held) << written;        \
  } while (false)
// Expects that a write is refused and changes nothing.
#define EXPECT_REFUSED(name, written, error)                         \
  do {                                                               \
    const std::string before_ = read(name);                          \
    EXPECT_EQ(write(name, written), error) << "'" << written << "'"; \
    EXPECT_EQ(read(name), before_) << written;                       \
  } while (false)

}  // namespace conformance
