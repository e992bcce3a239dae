// The kernel's number parsers with all their peculiarities, which decide what a cgroup file accepts.
#pragma once

#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

namespace sluice::simhost {

std::string_view strip(std::string_view text);  // strstrip(): white space at both ends

// "%llu" of sscanf: skips white space, takes digits, wraps at 2^64, stops at the first other byte. False: no
// digit.
bool scan_u64(std::string_view& text, std::uint64_t& out);
// "%20s": at most `most` bytes without white space.
std::string_view scan_word(std::string_view& text, std::size_t most);
// kstrtoull(): the whole text, with at most one newline at the end; the base is given by 0x, 0 or neither.
// EINVAL, ERANGE.
tl::expected<std::uint64_t, int> kstrtoull(std::string_view text);
// memparse() and the caller's check for trailing bytes: suffixes K M G T P E, wraps at 2^64. EINVAL.
tl::expected<std::uint64_t, int> memparse(std::string_view text);

}  // namespace sluice::simhost
