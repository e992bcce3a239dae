// Runs all jobs on a few threads. Passes exceptions on.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <vector>

namespace sluice::bench {

inline void in_parallel(std::vector<std::function<void()>>& work, unsigned jobs) {
  std::atomic<std::size_t> next{0};
  std::vector<std::future<void>> workers;
  for (unsigned i = 0; i < jobs; ++i) {
    workers.push_back(std::async(std::launch::async, [&] {
      for (std::size_t n = next++; n < work.size(); n = next++) work[n]();
    }));
  }
  for (auto& w : workers) w.get();
}

}  // namespace sluice::bench
