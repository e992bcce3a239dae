// Columns that line up, in a terminal as wide as it is.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::ctl {

struct Column {
  std::string head;
  bool is_number = false;  // to the right
  int rank = 0;            // where not all fit: the highest is left out first; 0: never
};

// Two spaces between columns, none at a line's end. Rows have a cell for each column. With a width, rows are
// no longer than that, as far as it goes: columns are left out by rank, the first one is cut in its middle,
// and a last line says what is missing.
std::string table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                  std::optional<std::size_t> width = std::nullopt);

}  // namespace sluice::ctl
