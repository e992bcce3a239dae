// Which journal fields a decision carries. Pure: for the log, and for its tests.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/values/report.hpp"

namespace sluice::publish {

using Fields = std::vector<std::pair<std::string_view, std::string>>;

// Fixed for ever: scripts and `journalctl MESSAGE_ID=` rely on them. Listed in publish's README.
std::string_view message_id(const Adjustment& adjustment);
std::string_view message_id(Notice::Kind kind);

// The systemd unit that a cgroup path belongs to: its last component that is a service or a scope; none: "".
std::string_view unit_of(std::string_view cgroup);

// UNIT and OBJECT_SYSTEMD_UNIT both: `journalctl -u` believes UNIT= of PID 1 only, and OBJECT_SYSTEMD_UNIT=
// of any daemon that runs as root.
Fields journal_fields(const Adjustment& adjustment, std::uint64_t tick);
Fields journal_fields(const Notice& notice, std::uint64_t tick);

}  // namespace sluice::publish
