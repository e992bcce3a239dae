// The lease's lines:  lease1 CRC32 BOOT_ID CGROUP_ID KNOB VALUE PATH
// VALUE and PATH are escaped, so that every field is without blanks; the checksum is of all that follows it.
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "cgroups/escape.hpp"
#include "cgroups/parse.hpp"
#include "daemon/actuate/lease.hpp"

namespace sluice::actuate {
namespace {

constexpr std::string_view kVersion = "lease1";
constexpr std::string_view kComment =
    "# What Sluice found in the knobs it governs, to be given back. Made by sluiced; do not edit.\n";
constexpr std::size_t kFields = 7;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

std::string crc32_hex(std::string_view text) {
  std::uint32_t crc = ~0u;
  for (const char c : text) crc = kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ crc >> 8;
  crc = ~crc;
  std::string hex(8, '0');
  for (auto at = hex.rbegin(); at != hex.rend(); ++at, crc >>= 4) *at = "0123456789abcdef"[crc & 0xf];
  return hex;
}

std::optional<Knob> knob_named(std::string_view name) {
  for (const auto knob : {Knob::cpu_max, Knob::memory_high}) {
    if (name == file_name(knob)) return knob;
  }
  return std::nullopt;
}

// Exactly the fields of a line; more or fewer: none.
std::optional<std::array<std::string_view, kFields>> split(std::string_view line) {
  std::array<std::string_view, kFields> fields;
  for (std::size_t i = 0; i < kFields; ++i) {
    const auto end = line.find(' ');
    if ((end == std::string_view::npos) != (i == kFields - 1)) return std::nullopt;
    fields[i] = line.substr(0, end);
    line.remove_prefix(i == kFields - 1 ? line.size() : end + 1);
  }
  return fields;
}

struct Line {
  std::string_view boot_id;
  LeaseEntry entry;
};

tl::unexpected<const char*> bad(const char* why) {
  return tl::unexpected<const char*>(why);
}

tl::expected<Line, const char*> parse_line(std::string_view text) {
  const auto fields = split(text);
  if (!fields) return bad("it is torn");
  const auto& [version, crc, boot_id, id, knob_name, value_text, path] = *fields;
  if (version != kVersion) return bad("it is of an unknown version");
  if (crc != crc32_hex(text.substr(static_cast<std::size_t>(boot_id.data() - text.data())))) {
    return bad("its checksum is wrong");
  }
  // From here on only a writer's error could be found.
  Line line{.boot_id = boot_id, .entry = {}};
  const auto knob = knob_named(knob_name);
  if (!knob) return bad("its knob is unknown");
  line.entry.knob = *knob;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), line.entry.id.value);
  if (error != std::errc{} || end != id.data() + id.size()) return bad("its cgroup id is no number");
  const auto value = cgroups::unescape(value_text);
  if (!value) return bad("its value is malformed");
  const auto baseline = cgroups::parse_knob(*knob, *value);
  if (!baseline) return bad("its value is malformed");
  line.entry.baseline = *baseline;
  auto raw_path = cgroups::unescape(path);
  if (!raw_path || !raw_path->starts_with('/')) return bad("its path is malformed");
  line.entry.path = std::move(*raw_path);
  return line;
}

}  // namespace

std::string seal_lease_line(std::string_view body) {
  return std::string(kVersion).append(" ").append(crc32_hex(body)).append(" ").append(body).append("\n");
}

std::string format_lease(std::span<const LeaseEntry> entries, std::string_view boot_id) {
  std::string text(kComment);
  for (const auto& entry : entries) {
    std::string body(boot_id);
    body.append(" ").append(std::to_string(entry.id.value));
    body.append(" ").append(file_name(entry.knob));
    body.append(" ").append(cgroups::escape(cgroups::format(entry.baseline)));
    body.append(" ").append(cgroups::escape(entry.path));
    text.append(seal_lease_line(body));
  }
  return text;
}

LeaseText parse_lease(std::string_view text, std::string_view boot_id) {
  LeaseText result;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line_text = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line_text.empty() || line_text.starts_with('#')) continue;
    auto line = parse_line(line_text);
    if (!line) {
      result.bad.push_back({.number = number, .why = line.error()});
    } else if (line->boot_id != boot_id) {
      ++result.other_boots;
    } else {
      result.entries.push_back(std::move(line->entry));
    }
  }
  return result;
}

}  // namespace sluice::actuate
