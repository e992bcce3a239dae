// Tells the service manager how we are, without waiting for it: sd_notify(3) waits as long as nobody reads.
#pragma once

#include <string_view>

namespace sluice::process {

// Sends "READY=1", "STATUS=…" and the like to $NOTIFY_SOCKET. False: it was not taken, now; nothing of it
// waits. True too when there is nobody to tell. Any thread.
bool notify(std::string_view state);

}  // namespace sluice::process
