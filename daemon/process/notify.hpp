// Reports our state to the service manager without waiting; sd_notify(3) would wait until it is read.
#pragma once

#include <string_view>

namespace sluice::process {

// Sends "READY=1", "STATUS=…" and the like to $NOTIFY_SOCKET. False: it could not be sent now; nothing is
// queued. True also if there is no service manager. Any thread.
bool notify(std::string_view state);

}  // namespace sluice::process
