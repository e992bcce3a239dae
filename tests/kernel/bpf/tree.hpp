// Cgroups and load for the checks of this folder: made in a test, gone with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sluice::kernel_test {

// An empty cgroup that the caller may fill, from --root or $CHECK_CGROUP, with cpu and memory for its
// children.
std::filesystem::path root();
void set_root(std::filesystem::path path);

std::string read_text(const std::filesystem::path& file);
// Throws with the file's name: in a check, a write that fails is the end of it.
void write_text(const std::filesystem::path& file, const std::string& text);

// "KEY NUMBER" lines: cpu.stat, memory.stat, memory.events.
std::map<std::string, std::uint64_t> read_keyed(const std::filesystem::path& file);
// The total= of the "some" and "full" lines, µs.
std::map<std::string, std::uint64_t> read_pressure(const std::filesystem::path& file);
// A number, or "max" as UINT64_MAX.
std::uint64_t read_limit(const std::filesystem::path& file);

class Cgroup {
 public:
  explicit Cgroup(const std::filesystem::path& path);  // makes it
  Cgroup(Cgroup&& other) noexcept;
  Cgroup& operator=(Cgroup&&) = delete;
  ~Cgroup();  // kills what runs in it, and removes it

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const char* file) const { return path_ / file; }
  std::uint64_t id() const { return id_; }

  // A process in this cgroup that runs `body` over and over; on one CPU (of those there are), or on any.
  void run(const std::function<void()>& body, int cpu = -1);

 private:
  std::filesystem::path path_;
  std::uint64_t id_ = 0;
  std::vector<int> children_;
};

// Throws when a minute is over, for a host that is busy: on a good one a condition comes true in seconds.
void wait_until(const std::function<bool()>& condition, const std::string& what);

void burn_cpu();                                                        // a stretch of arithmetic
void call_kernel();                                                     // a stretch of system calls
void read_through(const std::filesystem::path& file);                   // its pages, by the page cache
void write_file(const std::filesystem::path& file, std::size_t bytes);  // on disk, and not in the page cache
void touch_anonymous(std::size_t bytes);                                // that much fresh memory, kept

}  // namespace sluice::kernel_test
