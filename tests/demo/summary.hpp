#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/demo/model_watch.hpp"

namespace sluice::demo {

struct Totals {
  double seconds = 0;
  double measured_seconds = 0;  // the last of them, which all figures but `adjustments` are of
  std::uint64_t adjustments = 0;
  std::vector<TaskView> tasks;
  bool given_back = false;  // every limit is at its baseline again
};

std::string summary(const Totals& totals);

}  // namespace sluice::demo
