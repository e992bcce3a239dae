// A small file as text. Errors are errnos.
#pragma once

#include <cstddef>
#include <string>
#include <tl/expected.hpp>

namespace sluice::doctor {

tl::expected<std::string, int> read_text(const std::string& path, std::size_t at_most);
tl::expected<std::string, int> read_text(int fd, std::size_t at_most);  // from where it stands

}  // namespace sluice::doctor
