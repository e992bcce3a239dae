// What every conformance test has: a cgroup of its own below ROOT/sluice-conformance, and calls that keep
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
  std::string
      control;  // the simulated host's socket; empty: a real kernel, where load is made by real processes
  std::uint64_t psi_window_min_usec = 0;  // 0: not known, do not judge
};
Options& options();

Fd open_file(const std::string& path, int flags = O_RDONLY);
// 0, or the errno of open or write. A write that takes fewer bytes than given fails the test.
int write_to(const std::string& path, std::string_view data);
int write_fd(int fd, std::string_view data);
std::string read_from(const std::string& path);  // a failure fails the test
int read_errno(int fd);                          // of a read at offset 0
short poll_now(int fd, int timeout_ms = 0);      // what POLLPRI brings
std::uint64_t field(const std::string& path,
                    std::string_view key);  // "key value" lines; missing fails the test
std::uint64_t psi_total(const std::string& path, std::string_view line);
std::set<std::string> list(const std::string& directory);
std::uint64_t inode(const std::string& path);
// Whether this process has a capability (CAP_..., linux/capability.h): root in a container has few.
bool capable(int capability);
// Sends one line to the simulated host and returns its answer.
std::string control(const std::string& line);

class Conformance : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // A file of this test's cgroup.
  std::string file(std::string_view name) const { return cgroup + "/" + std::string(name); }
  int write(std::string_view name, std::string_view data) const { return write_to(file(name), data); }
  std::string read(std::string_view name) const { return read_from(file(name)); }
  // Its path as the simulated host's control socket names it.
  std::string model_path() const { return cgroup.substr(options().root.size()); }

  std::string cgroup;
};

// Made once: ROOT/sluice-conformance with cpu and memory enabled for its children. False: says why on stderr.
bool prepare();
void clean_up();
void remove_tree(const std::string& directory);

// What a file holds after a write that must succeed.
#define EXPECT_HOLDS(name, written, held)          \
  do {                                             \
    EXPECT_EQ(write(name, written), 0) << written; \
    EXPECT_EQ(read(name), held) << written;        \
  } while (false)
// A write that must be refused, and must change nothing.
#define EXPECT_REFUSED(name, written, error)                         \
  do {                                                               \
    const std::string before_ = read(name);                          \
    EXPECT_EQ(write(name, written), error) << "'" << written << "'"; \
    EXPECT_EQ(read(name), before_) << written;                       \
  } while (false)

}  // namespace conformance
