// A task that is already governed, and what a tick reports of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {

inline const Notice* notice(const Outcome& o, Notice::Kind kind) {
  const auto& all = o.report.notices;
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& n) { return n.kind == kind; });
  return found == all.end() ? nullptr : &*found;
}

inline bool noticed(const Outcome& o, Notice::Kind kind) {
  return notice(o, kind) != nullptr;
}

// Baseline 3 cores, holds less, uses half a core.
inline Bench governed(config::Config config = one_task_config()) {
  Bench b(std::move(config));
  b.add(1, cores(3));
  b.full();
  for (int i = 0; i < 40; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.full();
  }
  EXPECT_LT(b.quota(), 1.0);
  return b;
}

}  // namespace sluice::testing
