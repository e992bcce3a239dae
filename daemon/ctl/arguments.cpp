#include "daemon/ctl/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "config/text.hpp"
#include "config/units.hpp"
#include "daemon/publish/words/spelling.hpp"

namespace sluice::ctl {

namespace {

tl::unexpected<std::string> wrong(std::string sentence) {
  return tl::unexpected(std::move(sentence));
}

Parsed<std::uint64_t> parse_cores(std::string_view text) {
  constexpr double kMost = 1e9;  // every node refuses it, and it does not overflow
  const auto cores = config::parse_cores(text);
  if (!cores)
    return wrong(fmt::format("'cpu={}' is no number of cores; say cpu=2, cpu=0.5 or cpu=500m", text));
  const double usec = std::round(std::min(*cores, kMost) * 1e6);
  if (!(usec >= 1))
    return wrong(fmt::format("'cpu={}' leaves nothing to run with; say cpu=0.5 or more", text));
  return static_cast<std::uint64_t>(usec);
}

Parsed<std::uint64_t> parse_size(std::string_view text) {
  const auto bytes = config::parse_bytes(text);
  if (!bytes) {
    return wrong(
        fmt::format("'memory={}' is no size; say memory=512M, memory=1.5G or a number of bytes", text));
  }
  if (*bytes <= 0) return wrong(fmt::format("'memory={}' leaves nothing; say memory=512M or the like", text));
  return static_cast<std::uint64_t>(*bytes);
}

}  // namespace

Parsed<Limits> parse_limits(const std::vector<std::string>& texts) {
  Limits limits;
  for (const std::string_view text : texts) {
    const auto equals = text.find('=');
    const auto key = text.substr(0, equals);
    const bool is_cpu = key == "cpu";
    if (equals == std::string_view::npos || (!is_cpu && key != "memory")) {
      return wrong(
          fmt::format("'{}' is no limit; a limit is cpu=CORES or memory=SIZE, as in cpu=2 memory=3G", text));
    }
    auto& limit = is_cpu ? limits.cpu_usec_per_s : limits.memory_high_bytes;
    if (limit) return wrong(fmt::format("{} is given twice; say it once", key));
    const auto value = is_cpu ? parse_cores(text.substr(equals + 1)) : parse_size(text.substr(equals + 1));
    if (!value) return tl::unexpected(value.error());
    limit = *value;
  }
  if (texts.empty()) return wrong("nothing is held without a limit; say cpu=CORES, memory=SIZE or both");
  return limits;
}

Parsed<std::uint64_t> parse_hold(const std::string& text, std::uint64_t longest_usec) {
  if (text == "infinity") return kInfinity;
  const auto duration = config::parse_duration(text);
  // On the bus 0 means as long as the caller's connection, which ends at once here.
  if (!duration || duration->count() <= 0) {
    return wrong(
        fmt::format("'--for {}' is no time to come; say --for 90s, 2h, 1h30m, 1d or infinity", text));
  }
  const auto usec = static_cast<std::uint64_t>(duration->count());
  if (usec > longest_usec) {
    return wrong(
        fmt::format("'--for {}' is too long; say --for {} or less, or --for infinity: until sluicectl unpin",
                    text, config::show_duration(config::Duration(longest_usec))));
  }
  return usec;
}

Parsed<std::string> parse_reason(const std::string& text) {
  if (publish::is_text(text)) return text;
  return wrong(
      fmt::format("'--reason {}' is no UTF-8, and others could not read it; say it in plain text", text));
}

std::string unknown_command(const std::string& word, const std::vector<std::string>& commands) {
  const std::vector<std::string_view> names(commands.begin(), commands.end());
  const auto all = fmt::format("The commands are {}; sluicectl --help says what each does",
                               config::listed(names, 0, "and"));
  if (word.empty()) return "a command is missing. " + all;
  const std::string near = config::suggestion(word, names, '\'');
  return fmt::format("'{}' is no command{} {}", word, near.starts_with("did") ? "; " + near : ".", all);
}

Parsed<const Dictionary*> find_task(const std::vector<Dictionary>& tasks, const std::string& name) {
  constexpr std::size_t kMostListed = 8;
  const std::string escaped = publish::c_escape(name);
  std::vector<std::string_view> names;
  names.reserve(tasks.size());
  for (const auto& task : tasks) {
    const auto* shown = find<std::string>(task, "Name");
    if (shown == nullptr) continue;
    if (*shown == name || *shown == escaped) return &task;
    names.push_back(*shown);
  }
  std::string cure =
      "sluiced governs no task at all; what it shall govern is said in /etc/sluice/sluice.toml";
  if (!tasks.empty()) {
    cure = config::suggestion(name, names, '\'');
    const bool is_near = cure.starts_with("did");
    if (!is_near && tasks.size() > kMostListed)
      cure = fmt::format("sluicectl list shows all {}", tasks.size());
  }
  return wrong(fmt::format("no task is called '{}'; {}", name, cure));
}

}  // namespace sluice::ctl
