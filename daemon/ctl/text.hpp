// The output of each command that reads. Pure; the caller must still apply printable().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/ctl/value.hpp"

namespace sluice::ctl {

// `manager`, `tasks`: properties as on the bus.
std::string status_text(const Dictionary& manager, const std::vector<Dictionary>& tasks);
// `width`: of the terminal, if the output is one.
std::string list_text(const std::vector<Dictionary>& tasks, std::optional<std::size_t> width = std::nullopt);
// `statistics`: the reply of GetStats.
std::string show_text(const Dictionary& task, const Dictionary& statistics);
// `explanation`: the reply of Explain; `verbose`: with its numbers.
std::string explain_text(const Dictionary& explanation, bool verbose);
// `changes`: AtUSec and Text of each.
std::string history_text(const List& changes);

// The number of tasks in each mode.
Dictionary count_modes(const std::vector<Dictionary>& tasks);

// A number with the unit that its key names: ("CPUUsagePerSecUSec", 630677) is "0.63 cores".
std::string quantity(const std::string& key, const Value& value);

}  // namespace sluice::ctl
