#pragma once

#include <string>

#include "daemon/ctl/value.hpp"

namespace sluice::ctl {

// Names and units are those of the D-Bus interface. Infinity and unknown values are null. Plain ASCII.
std::string json(const Value& value);

}  // namespace sluice::ctl
