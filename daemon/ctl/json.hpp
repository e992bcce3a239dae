#pragma once

#include <string>

#include "daemon/ctl/value.hpp"

namespace sluice::ctl {

// The names and units of the D-Bus interface; infinity, and what is not known, is null. Plain ASCII.
std::string json(const Value& value);

}  // namespace sluice::ctl
