// What procfs says about the node, and what its clock shows. `proc_fd` is a directory fd of a procfs root:
// tests hand over another tree.
#pragma once

#include <string>
#include <string_view>

#include "cgroups/error.hpp"
#include "cgroups/fd.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::sample {

cgroups::Result<cgroups::Fd> open_proc(const char* path = "/proc");

// Online CPUs, and the memory that tasks can share: MemTotal less the huge pages that were set aside, of all
// sizes, used or not. What cannot be is left out, and `fault` then says so with its file; else it is emptied.
cgroups::Result<NodeFacts> node_facts(int proc_fd, std::string* fault = nullptr);
cgroups::Result<Bytes> host_swap_free(int proc_fd);      // SwapFree
cgroups::Result<std::string> read_boot_id(int proc_fd);  // sys/kernel/random/boot_id, 36 characters

WallClock wall_clock();  // follows a change of the host's time zone

// Pure halves of the above.
cgroups::Result<Bytes> parse_meminfo(std::string_view text,
                                     std::string_view key);  // "MemTotal:       1234 kB"
cgroups::Result<Bytes> memory_to_share(std::string_view meminfo, std::string& fault);
cgroups::Result<unsigned> parse_online_cpus(std::string_view stat);  // /proc/stat's cpuN lines

}  // namespace sluice::sample
