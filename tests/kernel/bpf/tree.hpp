// Cgroups and load for the checks of this folder; each exists only during its test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sluice::kernel_test {

// An empty cgroup that the caller may fill, from --root or $CHECK_CGROUP, with cpu and memory enabled for its
// children.
std::filesystem::path root();
void set_root(std::filesystem::path path);

std::string read_text(const std::filesystem::path& file);
// Throws with the file's name, because a failed write ends a check.
void write_text(const std::filesystem::path& file, const std::string& text);

// "KEY NUMBER" lines: cpu.stat, memory.stat, memory.events.
std::map<std::string, std::uint64_t> read_keyed(const std::filesystem::path& file);
// The total= of the "some" and "full" lines, µs.
std::map<std::string, std::uint64_t> read_pressure(const std::filesystem::path& file);
// A number, or "max" as UINT64_MAX.
std::uint64_t read_limit(const std::filesystem::path& file);

class Cgroup {
 public:
  explicit Cgroup(const std::filesystem::path& path);  // creates it
  Cgroup(Cgroup&& other) noexcept;
  Cgroup& operator=(Cgroup&&) = delete;
  ~Cgroup();  // kills its processes, and removes it

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const char* file) const { return path_ / file; }
  std::uint64_t id() const { return id_; }

  // Starts a process in this cgroup that runs `body` repeatedly, on one CPU (of the available ones) or on
  // any.
  void run(const std::function<void()>& body, int cpu = -1);

 private:
  std::filesystem::path path_;
  std::uint64_t id_ = 0;
  std::vector<int> children_;
};

// Throws after a minute, a limit for busy hosts; normally a condition becomes true in seconds.
void wait_until(const std::function<bool()>& condition, const std::string& what);

void burn_cpu();                                                        // some arithmetic
void call_kernel();                                                     // some system calls
void read_through(const std::filesystem::path& file);                   // reads it through the page cache
void write_file(const std::filesystem::path& file, std::size_t bytes);  // on disk, and not in the page cache
void touch_anonymous(std::size_t bytes);                                // new memory of this size, kept

}  // namespace sluice::kernel_test
