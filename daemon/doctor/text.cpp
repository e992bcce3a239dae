#include <algorithm>

#include "daemon/doctor/diagnose.hpp"

namespace sluice::doctor {
namespace {

const char* word(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::missing:
      return "missing";
    case Status::unknown:
      return "unknown";
  }
  return "unknown";
}

// Messages of kernel and libbpf may have several lines; a row has one.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text;
}

std::string pad(std::string text, std::size_t width) {
  text.append(text.size() < width ? width - text.size() : 0, ' ');
  return text + "  ";
}

std::string verdict(const Diagnosis& d) {
  if (!d.can_be_governed()) {
    std::string line = "This host cannot be governed: ";
    for (std::size_t i = 0; i < d.obstacles.size(); ++i)
      line += (i > 0 ? "; " : "") + one_line(d.obstacles[i]);
    return line + ".\n";
  }
  std::string line = "This host can be governed";
  if (d.gaps > 0) line += ", with these gaps: " + std::to_string(d.gaps);
  if (d.unknown > 0) line += "; not seen: " + std::to_string(d.unknown);
  return line + ".\n";
}

}  // namespace

std::string text(const Diagnosis& diagnosis) {
  std::size_t width = 0;
  for (const Row& row : diagnosis.rows) width = std::max(width, row.name.size());
  std::string out;
  for (const Row& row : diagnosis.rows) {
    out += pad(row.name, width) + pad(word(row.status), 7) + one_line(row.fact) + "\n";
    if (!row.means.empty()) out += pad("", width) + pad("", 7) + "> " + one_line(row.means) + "\n";
  }
  return out + verdict(diagnosis);
}

}  // namespace sluice::doctor
