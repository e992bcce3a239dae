// Reads a small file. Errors are errnos.
#pragma once

#include <cstddef>
#include <string>
#include <tl/expected.hpp>

namespace sluice::doctor {

tl::expected<std::string, int> read_text(const std::string& path, std::size_t at_most);

}  // namespace sluice::doctor
