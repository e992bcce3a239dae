// The largest number of writes in any 60 s.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace sluice::bench {

// `times_s`: ascending, in seconds. A minute includes its start and excludes its end, to the microsecond.
inline std::size_t worst_minute(const std::vector<double>& times_s) {
  std::size_t out = 0, first = 0;
  for (std::size_t i = 0; i < times_s.size(); ++i) {
    while (times_s[i] - times_s[first] >= 60 - 1e-6) ++first;
    out = std::max(out, i - first + 1);
  }
  return out;
}

}  // namespace sluice::bench
