// Kept descriptors, twelve a cgroup, soon pass the 1,024 that most processes start with.
#pragma once

namespace sluice::cgroups {

// Raises the soft limit of open files to the hard one: harmless to a process that never calls select(2).
// Once, at start. Returns the limit then in force.
int raise_fd_limit();

// Whether a descriptor may stay open for later. Numbers are given lowest first, so one near the limit means
// that few are left, and those are for opening what must be written.
bool may_keep(int fd);

}  // namespace sluice::cgroups
