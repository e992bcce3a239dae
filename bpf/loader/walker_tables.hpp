// Asks the kernel in which order it keeps memory.stat's counters. Private to this room.
#pragma once

#include "bpf/loader/libbpf.hpp"
#include "bpf/loader/walk_layout.hpp"

namespace sluice::bpf {

// Once, at start: walks the kernel's symbols where a table has to be found, by a program that `programs`
// names.
tl::expected<StatLayout, Error> find_stat_layout(std::vector<Program>& programs);

}  // namespace sluice::bpf
