// Columns that line up, and text that a terminal may be given.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::ctl {

struct Column {
  std::string head;
  bool is_number = false;  // to the right
};

// Two spaces between columns, none at a line's end. Rows have a cell for each column.
std::string table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows);

// Without what a terminal would act upon: control characters (but for line feeds) and bytes that are no UTF-8
// become "\x1b".
std::string printable(std::string_view text);

}  // namespace sluice::ctl
