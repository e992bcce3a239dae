// A message bus of the demo's own, with the policy that Sluice ships.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "tests/demo/child.hpp"

namespace sluice::demo {

struct PrivateBus {
  Child daemon;
  std::string address;
};

// Its socket, configuration and log are in `folder`. Returns when it listens.
tl::expected<PrivateBus, std::string> start_bus(const std::string& folder, const std::string& policy_file);

}  // namespace sluice::demo
