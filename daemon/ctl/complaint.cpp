#include "daemon/ctl/complaint.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "daemon/publish/words/spelling.hpp"

namespace sluice::ctl {

namespace {

constexpr std::string_view kOurs = "org.sluice.Governor1.Error.";
constexpr std::string_view kTheirs = "org.freedesktop.DBus.Error.";

// The cure for a refusal that the daemon already explains.
struct Cure {
  std::string_view error, words;
};
constexpr auto kCures = std::to_array<Cure>({
    {"RateLimited", "Try again in a second."},
    {"LimitsExceeded", "Try again later."},
    {"InvalidConfig", "sluiced --check-config names every mistake."},
    {"NotOwner", "Ask them, or do it as root."},
    {"NoSuchTask", "sluicectl list shows those that there are."},
    {"UnknownObject", "It may have ended meanwhile; sluicectl list shows those that there are."},
    {"UnknownMethod", "This sluiced is of another version: see sluicectl status and sluicectl --version."},
});

std::string away(const Asked& asked) {
  if (asked.bus == "system") return "sluiced is not running. Start it: systemctl start sluiced";
  return fmt::format(
      "no sluiced is on the bus '{0}'. Start it there with sluiced --bus={0}, or leave --bus out for the "
      "system's",
      asked.bus);
}

}  // namespace

std::string complaint(const Failure& failure, const Asked& asked) {
  std::string_view name = failure.name;
  if (name == kNoBus) {
    return fmt::format("the bus '{}' cannot be reached: {}. Start D-Bus, or name another with --bus=ADDRESS",
                       asked.bus, failure.message);
  }
  if (name == kMuteBus) {
    return fmt::format(
        "the bus '{}' did not answer within {} s: it hangs, or something else listens there. "
        "--timeout=SECONDS "
        "waits longer",
        asked.bus, asked.patience_s);
  }
  if (name == kNotBack) {
    return fmt::format(
        "the installed sluiced did not answer within {} s. See systemctl status sluiced and journalctl -u "
        "sluiced; "
        "--timeout=SECONDS waits longer",
        asked.patience_s);
  }
  if (name == kNotRunning) return away(asked);
  for (const auto prefix : {kOurs, kTheirs}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  if (name == "ServiceUnknown" || name == "NameHasNoOwner") return away(asked);
  if (name == "Timeout") {
    return fmt::format(
        "sluiced did not answer within {} s: it hangs or is very busy. See systemctl status sluiced and "
        "journalctl -u "
        "sluiced; --timeout=SECONDS waits longer",
        asked.patience_s);
  }
  if (name == "NoReply" || name == "Disconnected") {
    return "sluiced ended before it answered. See journalctl -u sluiced";
  }
  if (name == "AccessDenied") {
    return "only root may do this; try again as root. sluicectl status and list are for everybody";
  }
  for (const auto& [error, words] : kCures) {
    if (name == error) return fmt::format("{}. {}", failure.message, words);
  }
  const bool is_ours = failure.name.starts_with(kOurs);  // then its message is sufficient
  return is_ours || name == "InvalidArgs" ? failure.message
                                          : fmt::format("{} ({})", failure.message, failure.name);
}

std::string bounds_words(const Dictionary& task) {
  const auto cores = [&](const char* key) {
    const auto usec = finite(task, key);
    return usec ? publish::cores_words(static_cast<double>(*usec) / 1e6) : "any";
  };
  const auto bytes = [&](const char* key) {
    const auto value = finite(task, key);
    return value ? publish::bytes_words(static_cast<double>(*value)) : "any";
  };
  return fmt::format(
      "{} may have {} to {} and {} to {} of memory; its cpu.min, cpu.max, memory.min and memory.max in the "
      "configuration say so",
      word(task, "Name"), cores("CPUMinPerSecUSec"), cores("CPUMaxPerSecUSec"), bytes("MemoryMin"),
      bytes("MemoryMax"));
}

}  // namespace sluice::ctl
