// Knob writers for tests: they record, fail, differ, and block in the two ways that a kernel can.
#pragma once

#include <poll.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "daemon/actuate/knob_writer.hpp"
#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::test {

// Opens once and stays open. Waiting ignores signals, like a task in D state.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// A system call that only a signal ends.
inline int block_until_signal() {
  return ::poll(nullptr, 0, -1) < 0 ? errno : 0;
}

inline Receipt written(const actuate::Order& order) {
  Receipt receipt;
  receipt.holds = order.write.value;
  return receipt;
}

class FunctionWriter final : public actuate::KnobWriter {
 public:
  explicit FunctionWriter(std::function<Receipt(const actuate::Order&)> function)
      : function_(std::move(function)) {}
  Receipt apply(const actuate::Order& order) override {
    {
      const std::lock_guard lock(mutex_);
      applied_.push_back(order.write);
    }
    return function_(order);
  }
  [[nodiscard]] std::vector<Write> applied() const {
    const std::lock_guard lock(mutex_);
    return applied_;
  }

 private:
  std::function<Receipt(const actuate::Order&)> function_;
  mutable std::mutex mutex_;
  std::vector<Write> applied_;
};

}  // namespace sluice::test
