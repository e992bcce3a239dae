// The program that this process runs, and the program that was installed in its place.
#pragma once

#include <string>

namespace sluice::process {

// The path of the running program at its start. Call it first: after an upgrade /proc/self/exe names a file
// that is gone. Empty: procfs is not mounted.
std::string own_program();

// Executes the program at `path` with the same arguments, environment and process id. Returns only on
// failure, with the errno. No other thread may run, and files that are not close-on-exec stay open.
int replace_by(const std::string& path, char* const* arguments);

}  // namespace sluice::process
