// The lease's lines:  lease2 CRC32 BOOT_ID CGROUP_ID KNOB BASELINE OURS PATH
// Values and PATH are escaped, so that no field contains blanks. OURS is separated by commas. The checksum is
// of everything after it. BASELINE and OURS are "-" if there is nothing to restore for the limit.
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>

#include "cgroups/escape.hpp"
#include "cgroups/parse.hpp"
#include "daemon/actuate/lease.hpp"

namespace sluice::actuate {
namespace {

constexpr std::string_view kVersion = "lease2";
constexpr std::string_view kComment =
    "# What the knobs that Sluice governs held before, and its own values. Made by sluiced; do not edit.\n";
constexpr std::size_t kFields = 8;

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
  for (const auto knob : kKnobs) {
    if (name == file_name(knob)) return knob;
  }
  return std::nullopt;
}

// Exactly the fields of a line; none if there are more or fewer.
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
  LeaseKey key;
  std::optional<LeaseEntry> entry;  // none: nothing to restore
};

tl::unexpected<const char*> bad(const char* why) {
  return tl::unexpected<const char*>(why);
}

std::optional<KnobValue> parse_value(Knob knob, std::string_view escaped) {
  const auto text = cgroups::unescape(escaped);
  if (!text) return std::nullopt;
  const auto value = cgroups::parse_knob(knob, *text);
  return value ? std::optional(*value) : std::nullopt;
}

tl::expected<Line, const char*> parse_line(std::string_view text) {
  const auto fields = split(text);
  if (!fields) return bad("it has not the fields of a line");
  const auto& [version, crc, boot_id, id, knob_name, baseline, ours, path] = *fields;
  if (version != kVersion) return bad("it is of an unknown version");
  if (crc != crc32_hex(text.substr(static_cast<std::size_t>(boot_id.data() - text.data())))) {
    return bad("its checksum is wrong");
  }
  // The checksum is right, so an error found below is an error of the writer.
  Line line{.boot_id = boot_id, .key = {}, .entry = std::nullopt};
  const auto knob = knob_named(knob_name);
  if (!knob) return bad("its knob is unknown");
  line.key.knob = *knob;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), line.key.id.value);
  if (error != std::errc{} || end != id.data() + id.size()) return bad("its cgroup id is no number");
  auto raw_path = cgroups::unescape(path);
  if (!raw_path || !raw_path->starts_with('/')) return bad("its path is malformed");
  if (baseline == "-" && ours == "-") return line;
  LeaseEntry entry{
      .id = line.key.id, .path = std::move(*raw_path), .knob = *knob, .baseline = {}, .ours = {}};
  const auto value = parse_value(*knob, baseline);
  if (!value) return bad("its baseline is malformed");
  entry.baseline = *value;
  for (auto rest = ours;;) {
    const auto comma = rest.find(',');
    const auto own = parse_value(*knob, rest.substr(0, comma));
    if (!own) return bad("a value of ours is malformed");
    entry.ours.push_back(*own);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  line.entry = std::move(entry);
  return line;
}

std::string line_of(LeaseKey key, std::string_view path, const LeaseEntry* entry, std::string_view boot_id) {
  std::string body(boot_id);
  body.append(" ").append(std::to_string(key.id.value)).append(" ").append(file_name(key.knob)).append(" ");
  if (entry == nullptr) {
    body.append("- -");
  } else {
    body.append(cgroups::escape(cgroups::format(entry->baseline)));
    char before = ' ';
    for (const auto& value : entry->ours) {
      body += before;
      body.append(cgroups::escape(cgroups::format(value)));
      before = ',';
    }
  }
  body.append(" ").append(cgroups::escape(path));
  return seal_lease_line(body);
}

}  // namespace

std::string seal_lease_line(std::string_view body) {
  return std::string(kVersion).append(" ").append(crc32_hex(body)).append(" ").append(body).append("\n");
}

std::string format_lease(std::span<const LeaseEntry> entries, std::string_view boot_id) {
  std::string text(kComment);
  for (const auto& entry : entries) text += line_of({entry.id, entry.knob}, entry.path, &entry, boot_id);
  return text;
}

std::string format_lease_change(const LeaseChange& change, std::string_view boot_id) {
  return line_of(change.key, change.entry ? change.entry->path : "/", change.entry ? &*change.entry : nullptr,
                 boot_id);
}

LeaseText parse_lease(std::string_view text, std::string_view boot_id) {
  LeaseText result;
  std::map<LeaseKey, LeaseEntry> live, other;
  result.whole = text.rfind('\n') + 1;  // npos + 1 is 0
  text = text.substr(0, result.whole);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line_text = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line_text.empty() || line_text.starts_with('#')) continue;
    auto line = parse_line(line_text);
    if (!line) {
      result.bad.push_back({.number = number, .why = line.error()});
      continue;
    }
    auto& entries = line->boot_id == boot_id ? live : other;
    result.superseded += entries.erase(line->key) + (line->entry ? 0 : 1);
    if (line->entry) entries.emplace(line->key, std::move(*line->entry));
  }
  result.other_boots = other.size();
  for (auto& [key, entry] : live) result.entries.push_back(std::move(entry));
  return result;
}

}  // namespace sluice::actuate
