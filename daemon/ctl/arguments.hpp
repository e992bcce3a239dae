// What an administrator typed, checked and turned into what the bus takes. An error is a sentence with its
// cure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "daemon/ctl/value.hpp"

namespace sluice::ctl {

template <class Type>
using Parsed = tl::expected<Type, std::string>;

struct Limits {
  std::optional<std::uint64_t> cpu_usec_per_s;
  std::optional<std::uint64_t> memory_high_bytes;
};

// "cpu=2", "memory=3G", in any order, each once.
Parsed<Limits> parse_limits(const std::vector<std::string>& texts);

// How long a pin lasts, in microseconds: "2h", "1h30m", or "infinity", which is until it is lifted. The
// daemon takes `longest_usec` at most.
Parsed<std::uint64_t> parse_hold(const std::string& text, std::uint64_t longest_usec);

// A reason goes over the bus, which takes UTF-8 only.
Parsed<std::string> parse_reason(const std::string& text);

// What to say about a word that is no command; empty: none was given.
std::string unknown_command(const std::string& word, const std::vector<std::string>& commands);

// The task of that name, as `list` shows it or as its bytes are.
Parsed<const Dictionary*> find_task(const std::vector<Dictionary>& tasks, const std::string& name);

}  // namespace sluice::ctl
