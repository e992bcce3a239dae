// Twelve open descriptors per cgroup soon exceed the usual soft limit of 1,024.
#pragma once

namespace sluice::cgroups {

// Raises the soft limit of open files to the hard one; safe, because the process never calls select(2). Call
// once at start. Returns the limit then in force.
int raise_fd_limit();

// True if a descriptor may stay open for later use. The kernel assigns the lowest free number, so a number
// near the limit means that few are left; those are reserved for opening files to write.
bool may_keep(int fd);

}  // namespace sluice::cgroups
