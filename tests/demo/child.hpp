// A process of the demo's own. It dies with the demo, however that ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace sluice::demo {

class Child {
 public:
  // Standard output and error go to the end of `log`. The first of `command` is looked for in PATH.
  // The kernel ends a child with the *thread* that made it: start them from main's.
  static tl::expected<Child, std::string> start(const std::vector<std::string>& command,
                                                const std::string& log);

  ~Child();
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}
  Child& operator=(Child&&) = delete;

  bool running();
  // Asks, waits, and after `patience` insists. The exit status; 128 + the signal that ended it.
  int stop(std::chrono::milliseconds patience);
  std::optional<int> status() const { return status_; }

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  bool reap(int options);

  pid_t pid_;
  std::optional<int> status_;
};

}  // namespace sluice::demo
