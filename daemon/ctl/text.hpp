// What each reading command shows. Pure; what is shown still has to be made printable().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/ctl/value.hpp"

namespace sluice::ctl {

// `manager`, `tasks`: properties as the bus has them.
std::string status_text(const Dictionary& manager, const std::vector<Dictionary>& tasks);
// `width`: of the terminal, if it goes to one.
std::string list_text(const std::vector<Dictionary>& tasks, std::optional<std::size_t> width = std::nullopt);
// `statistics`: what GetStats answers.
std::string show_text(const Dictionary& task, const Dictionary& statistics);
// `explanation`: what Explain answers; `verbose`: its numbers too.
std::string explain_text(const Dictionary& explanation, bool verbose);
// `changes`: AtUSec and Text of each.
std::string history_text(const List& changes);

// How many tasks are in each mode.
Dictionary count_modes(const std::vector<Dictionary>& tasks);

// A number with the unit that its key names: ("CPUUsagePerSecUSec", 630677) is "0.63 cores".
std::string quantity(const std::string& key, const Value& value);

}  // namespace sluice::ctl
