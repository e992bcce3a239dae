// The whole loop but its clock, on random histories: registry, tick, lease, holds and a host with faults.
#include "daemon/run/engine.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/histories.hpp"
#include "tests/unit/run/engine_model.hpp"

namespace sluice::testing {
namespace {

using Op = EngineModel::Op;

const Histories histories_to_run("max_success=20000 max_size=60", "max_success=500 max_size=60");

rc::Gen<std::vector<std::pair<Op, unsigned>>> histories() {
  std::vector<Op> all;
  for (int n = 0; n < static_cast<int>(Op::count); ++n) all.push_back(static_cast<Op>(n));
  std::vector<unsigned> dice;
  for (unsigned n = 0; n < 64; ++n) dice.push_back(n);
  return rc::gen::container<std::vector<std::pair<Op, unsigned>>>(
      rc::gen::pair(rc::gen::elementOf(all), rc::gen::elementOf(dice)));
}

RC_GTEST_PROP(Engine, EveryLimitGoesBackToWhatItWas, ()) {
  const auto history = *histories();
  EngineModel model;
  for (const auto& [op, dice] : history) RC_ASSERT(model.apply(op, dice) == std::string());
  RC_ASSERT(model.finish() == std::string());
}

}  // namespace
}  // namespace sluice::testing
