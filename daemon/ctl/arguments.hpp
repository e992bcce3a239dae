// Parses and checks what an administrator typed, for the bus. An error is a sentence with a cure.
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

// "cpu=2", "memory=3G", in any order, each at most once.
Parsed<Limits> parse_limits(const std::vector<std::string>& texts);

// The duration of a pin in microseconds: "2h", "1h30m", or "infinity" (until it is lifted). The daemon
// accepts at most `longest_usec`.
Parsed<std::uint64_t> parse_hold(const std::string& text, std::uint64_t longest_usec);

// Reasons must be UTF-8, as the bus requires.
Parsed<std::string> parse_reason(const std::string& text);

// The message for an unknown command; `word` empty: none was given.
std::string unknown_command(const std::string& word, const std::vector<std::string>& commands);

// Finds a task by its name, as shown by `list` or as raw bytes.
Parsed<const Dictionary*> find_task(const std::vector<Dictionary>& tasks, const std::string& name);

}  // namespace sluice::ctl
