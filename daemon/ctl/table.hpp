// Aligned columns that fit the terminal's width.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::ctl {

struct Column {
  std::string head;
  bool is_number = false;  // right-aligned
  int rank = 0;            // the highest is left out first if not all fit; 0: never
};

// Two spaces between columns, none at the end of a line. Rows have a cell for each column. With `width`, rows
// are shortened to it if possible: columns are left out by rank, the first one is cut in the middle, and a
// last line reports what is missing.
std::string table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                  std::optional<std::size_t> width = std::nullopt);

}  // namespace sluice::ctl
