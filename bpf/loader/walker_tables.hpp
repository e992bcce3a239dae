// Finds the order of memory.stat's counters in this kernel. Private to this folder.
#pragma once

#include "bpf/loader/libbpf.hpp"
#include "bpf/loader/walk_layout.hpp"

namespace sluice::bpf {

// Call once at start. If a table is needed, a program walks the kernel's symbols; it is added to `programs`.
tl::expected<StatLayout, Error> find_stat_layout(std::vector<Program>& programs);

}  // namespace sluice::bpf
