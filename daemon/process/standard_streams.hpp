// Standard input, output and error at program start: a service manager or a script may have closed any of
// them.
#pragma once

#include <string_view>

namespace sluice::process {

// Opens 0, 1 and 2 on /dev/null if they are closed, so that no socket or file gets one of these numbers.
// Writes to them fail, as they would have before. Call first in main.
void open_closed_streams();

// A write to a pipe without a reader (SIGPIPE) or beyond the file size limit (SIGXFSZ) returns an error and
// does not end the process. Call before any thread is created.
void survive_refused_writes();

// Writes to standard error. What cannot be written is lost.
void complain(std::string_view text);

// Flushes standard output. False: some of the output was not written.
bool output_arrived();

}  // namespace sluice::process
