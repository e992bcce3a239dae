// What a caller sent, checked and turned into commands. Every refusal is a D-Bus error that names the
// argument, what was found and what is allowed. Pure; whether the task obeys is check_command's affair.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <string>

#include "daemon/publish/bus/bounded_map.hpp"
#include "daemon/values/command.hpp"

namespace sluice::publish {

using Options = BoundedMap<sdbus::Variant>;
using Load = BoundedMap<double>;

// Throws when a text is longer than 4 KiB.
void check_text(const char* argument, const std::string& text);

// ttl_usec 0: until the caller's connection closes. UINT64_MAX: until unpinned. Else that long, whether the
// caller stays or not. `sender` is kept as the owner only in the first case.
PinCommand pin_command(const std::string& task, const Options& limits, std::uint64_t ttl_usec,
                       const std::string& reason, const std::string& sender, MonotonicTime now);

SetBoundsCommand bounds_command(const std::string& task, const Options& bounds);

ReportLoadCommand load_command(const std::string& task, const Load& load, std::uint64_t ttl_usec,
                               MonotonicTime now);

SetModeCommand mode_command(const std::string& mode);

}  // namespace sluice::publish
