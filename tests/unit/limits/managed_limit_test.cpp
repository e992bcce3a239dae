// The properties listed in managed_limit.hpp, on random histories and on the histories that broke earlier
// versions.
#include "daemon/limits/managed_limit.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/histories.hpp"
#include "tests/unit/limits/knob_model.hpp"

namespace sluice::testing {
namespace {

using Op = KnobModel::Op;

const Histories histories_to_run("max_success=400000 max_size=200", "max_success=10000 max_size=200");

rc::Gen<std::vector<Op>> histories() {
  std::vector<Op> all;
  for (int n = 0; n < static_cast<int>(Op::count); ++n) all.push_back(static_cast<Op>(n));
  return rc::gen::container<std::vector<Op>>(rc::gen::elementOf(all));  // inRange would omit the last ones
}

RC_GTEST_PROP(ManagedLimit, EveryLimitGoesBackToWhatItWas, ()) {
  const auto history = *histories();
  KnobModel model(*rc::gen::elementOf(std::vector<Knob>(kKnobs.begin(), kKnobs.end())));
  for (const auto op : history) {
    model.apply(op);
    RC_ASSERT(model.check() == std::string());
  }
  RC_ASSERT(model.finish() == std::string());
}

}  // namespace
}  // namespace sluice::testing
