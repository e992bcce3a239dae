#include "daemon/ctl/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sluice::ctl {

namespace {

using std::string;
using Rows = std::vector<std::vector<string>>;

constexpr std::size_t kGap = 2;
constexpr std::size_t kShortestName = 12;

// The first byte of a character.
bool begins(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

// In characters. Wide ones (CJK) count as one, because names are plain ASCII.
std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
}

// "flink-task…17.service": both ends distinguish tasks.
string cut(std::string_view text, std::size_t most) {
  if (length(text) <= most) return string(text);
  const auto byte_of = [&](std::size_t character) {
    std::size_t at = 0;
    for (std::size_t seen = 0; at < text.size() && (seen += begins(text[at]) ? 1 : 0) <= character;) ++at;
    return at;
  };
  const std::size_t head = most / 2, tail = most - head - 1;
  return string(text.substr(0, byte_of(head))) + "…" + string(text.substr(byte_of(length(text) - tail)));
}

class Layout {
 public:
  Layout(const std::vector<Column>& columns, const Rows& rows, std::optional<std::size_t> width)
      : columns_(columns), widths_(columns.size()), shown_(columns.size(), true) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      widths_[i] = length(columns[i].head);
      for (const auto& row : rows) widths_[i] = std::max(widths_[i], length(row[i]));
    }
    if (width) fit(*width);
  }

  void append_line(string& out, const std::vector<string>& cells) const {
    string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (!shown_[i]) continue;
      if (!line.empty()) line.append(kGap, ' ');
      const string cell = i == 0 ? cut(cells[i], widths_[i]) : cells[i];
      const string padding(widths_[i] - length(cell), ' ');
      line += columns_[i].is_number ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }

  // Tells the reader what was left out.
  [[nodiscard]] string note() const {
    std::vector<std::string_view> missing;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string_view head = columns_[i].head;
      if (!shown_[i] && std::find(missing.begin(), missing.end(), head) == missing.end())
        missing.push_back(head);
    }
    if (missing.empty())
      return cut_ ? "(names are cut: a wider terminal, or a pipe, shows them whole)\n" : "";
    return fmt::format("(left out: {}; a wider terminal, or a pipe, shows all)\n", fmt::join(missing, ", "));
  }

 private:
  [[nodiscard]] std::size_t total() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < widths_.size(); ++i) sum += shown_[i] ? widths_[i] + (i > 0 ? kGap : 0) : 0;
    return sum;
  }

  // Names get a third of the line, or what the other columns leave.
  void fit(std::size_t width) {
    if (total() <= width) return;
    const std::size_t whole = widths_[0];
    widths_[0] = std::min(whole, std::max(kShortestName, width / 3));
    while (total() > width) {
      std::size_t next = 0;
      for (std::size_t i = 1; i < columns_.size(); ++i)
        if (shown_[i] && columns_[i].rank > (next == 0 ? 0 : columns_[next].rank)) next = i;
      if (next == 0) break;
      shown_[next] = false;
    }
    const std::size_t others = total() - widths_[0];
    const std::size_t left = width > others ? width - others : 0;
    widths_[0] = std::min(whole, std::max(kShortestName, left));
    cut_ = widths_[0] < whole;
  }

  const std::vector<Column>& columns_;
  std::vector<std::size_t> widths_;
  std::vector<bool> shown_;
  bool cut_ = false;
};

}  // namespace

string table(const std::vector<Column>& columns, const Rows& rows, std::optional<std::size_t> width) {
  const Layout layout(columns, rows, width);
  std::vector<string> heads;
  heads.reserve(columns.size());
  for (const auto& column : columns) heads.push_back(column.head);
  string out;
  layout.append_line(out, heads);
  for (const auto& row : rows) layout.append_line(out, row);
  return out + layout.note();
}

}  // namespace sluice::ctl
