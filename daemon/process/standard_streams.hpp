// Standard input, output and error as a program finds them: a service manager or a script may have closed
// any.
#pragma once

#include <string_view>

namespace sluice::process {

// Opens 0, 1 and 2 on /dev/null where they are closed, so that no socket or file gets one of these numbers.
// What is written to such a one fails, as it would have. First thing in main.
void open_closed_streams();

// Writes to standard error. What cannot be written is lost: there is nowhere to complain.
void complain(std::string_view text);

// Flushes standard output; false: some of what was printed did not arrive.
bool output_arrived();

}  // namespace sluice::process
