// Wording of messages: quotes what was found, and suggests similar names.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::config {

// In double quotes, on one line, shortened if long, so that it can be logged.
std::string in_quotes(std::string_view text);

// "a", "b" or "c" (each with the given quote around it; 0: none)
std::string listed(std::span<const std::string_view> names, char quote = '"', std::string_view last = "or");

// "did you mean 'tick'?", or the whole list if no name is similar.
std::string suggestion(std::string_view wrong, std::span<const std::string_view> known, char quote);

}  // namespace sluice::config
