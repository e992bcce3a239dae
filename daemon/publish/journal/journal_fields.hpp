// The journal fields of each decision. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/values/report.hpp"

namespace sluice::publish {

using Fields = std::vector<std::pair<std::string_view, std::string>>;

// Fixed for ever: scripts and `journalctl MESSAGE_ID=` rely on them. Listed in the README of daemon/publish.
std::string_view message_id(const Adjustment& adjustment);
std::string_view message_id(Notice::Kind kind);

// The systemd unit of a cgroup path: its last component that is a service or a scope; none: "".
std::string_view unit_of(std::string_view cgroup);

// Both UNIT and OBJECT_SYSTEMD_UNIT: `journalctl -u` accepts UNIT= only from PID 1, and OBJECT_SYSTEMD_UNIT=
// from any daemon that runs as root.
Fields journal_fields(const Adjustment& adjustment, std::uint64_t tick);
Fields journal_fields(const Notice& notice, std::uint64_t tick);

}  // namespace sluice::publish
