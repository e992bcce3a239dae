#include "daemon/record/hold_store.hpp"

#include <cerrno>

#include "daemon/record/codec.hpp"
#include "daemon/record/lines.hpp"

namespace sluice::record {
namespace {

const std::string kName = "holds";
const std::string kCorrupt = "holds.corrupt";
constexpr std::string_view kVersion = "hold1";
constexpr std::size_t kSizeMax = 16u << 20;

std::string begun(const std::string& boot_id, char kind) {
  return std::string(kVersion).append(" ").append(boot_id).append(" ").append(1, kind);
}

// Parses "hold1 BOOT KIND TOKENS" plus checksum. The error is the reason.
tl::expected<void, std::string> take_line(std::string_view line, const std::string& boot_id, HoldText& out) {
  const auto body = unsealed(line);
  if (!body) return tl::unexpected(body.error());
  auto rest = *body;
  const auto word = [&] {
    const auto end = rest.find(' ');
    const auto w = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return w;
  };
  if (word() != kVersion) return tl::unexpected<std::string>("it is of an unknown version");
  if (word() != boot_id) {
    ++out.other_boots;
    return {};
  }
  const auto kind = word();
  Decoder in(rest);
  std::optional<Suspension> node;
  std::optional<config::Mode> mode;
  std::string name;
  Hold hold;
  if (kind == "n") {
    in(node, mode);
  } else if (kind == "t") {
    in(name, hold);
  } else {
    return tl::unexpected<std::string>("it is of an unknown kind");
  }
  if (in.good() && mode > config::Mode::observe) in.fail("a mode that does not exist");
  if (in.good() && !in.at_end()) in.fail("more on it than belongs there");
  if (!in.good()) return tl::unexpected(in.what());
  if (kind == "t") {
    out.holds.tasks.insert_or_assign(std::move(name), std::move(hold));
  } else {
    out.holds.node = std::move(node);
    out.holds.mode = mode;
  }
  return {};
}

}  // namespace

std::string format_holds(const Holds& holds, const std::string& boot_id) {
  std::string text;
  if (holds.node || holds.mode) {
    auto line = begun(boot_id, 'n');
    Encoder{line}(holds.node, holds.mode);
    text += sealed(std::move(line));
  }
  for (const auto& [name, hold] : holds.tasks) {
    auto line = begun(boot_id, 't');
    Encoder{line}(name, hold);
    text += sealed(std::move(line));
  }
  return text;
}

HoldText parse_holds(std::string_view text, const std::string& boot_id) {
  HoldText out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    if (const auto taken = take_line(line, boot_id, out); !taken)
      out.bad.push_back("line " + std::to_string(number) + " (" + taken.error() + ")");
  }
  return out;
}

files::Result<HoldStore> HoldStore::open(files::Files& files, const std::string& directory,
                                         std::string boot_id) {
  auto dir = files::Directory::open(files, directory, 0755);
  if (!dir) return tl::unexpected(std::move(dir.error()));
  HoldStore store(std::move(*dir), std::move(boot_id));
  const auto text = store.directory_.read(kName, kSizeMax);
  if (!text && text.error().errno_value == ENOENT) return store;
  const auto keep_aside = [&] {
    return store.directory_.keep_as(kName, kCorrupt) ? "the file was kept as " + kCorrupt + "."
                                                     : std::string("the file could not be kept aside.");
  };
  if (!text) {
    store.notices_.push_back("Pins, suspensions and bounds of before are lost: " + describe(text.error()) +
                             "; " + keep_aside());
    return store;
  }
  auto parsed = parse_holds(*text, store.boot_id_);
  store.loaded_ = std::move(parsed.holds);
  if (parsed.bad.empty()) return store;
  std::string lines;
  for (const auto& bad : parsed.bad) lines.append(lines.empty() ? "" : ", ").append(bad);
  store.notices_.push_back(store.directory_.path_of(kName) + ": pins, suspensions or bounds were lost, " +
                           lines + "; " + keep_aside());
  return store;
}

files::Result<void> HoldStore::save(const Holds& holds) {
  const auto text = format_holds(holds, boot_id_);
  if (text.empty()) return directory_.remove(kName);
  return directory_.replace(kName, text, files::Survives::process);
}

}  // namespace sluice::record
