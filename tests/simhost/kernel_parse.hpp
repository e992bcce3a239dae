// The kernel's own number parsers, with their oddities: what a cgroup file accepts follows from them.
#pragma once

#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

namespace sluice::simhost {

std::string_view strip(std::string_view text);  // strstrip(): white space at both ends

// "%llu" of sscanf: skips white space, takes digits, wraps at 2^64, stops at the first other byte. False: no
// digit.
bool scan_u64(std::string_view& text, std::uint64_t& out);
// "%20s": at most 20 bytes that are no white space.
std::string_view scan_word(std::string_view& text, std::size_t most);
// kstrtoull(): the whole text, one newline allowed after it; base as given by 0x, 0, or neither. EINVAL,
// ERANGE.
tl::expected<std::uint64_t, int> kstrtoull(std::string_view text);
// memparse() and the caller's check for trailing bytes: suffixes K M G T P E, wraps at 2^64. EINVAL.
tl::expected<std::uint64_t, int> memparse(std::string_view text);

}  // namespace sluice::simhost
