// The keys of the bus interface contain their units; see systemd/org.sluice.Governor1.Task.xml.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "daemon/ctl/text.hpp"
#include "daemon/publish/words/spelling.hpp"

namespace sluice::ctl {

namespace {

using std::string;
using std::string_view;

string duration(std::uint64_t usec) {
  return publish::duration_words(
      std::chrono::duration_cast<Nsec>(std::chrono::duration<double, std::micro>(usec)));
}

bool is_memory(string_view key) {
  constexpr auto kPlain = std::to_array<string_view>(
      {"MemoryCurrent", "MemoryFloor", "MemoryWanted", "MemoryHigh", "MemoryBaselineHigh", "MemoryMin",
       "MemoryMax", "MemoryCapacity", "MemoryAllocated", "MissingMemory"});
  return key.ends_with("Bytes") || std::find(kPlain.begin(), kPlain.end(), key) != kPlain.end();
}

struct Spell {
  string_view key;

  string operator()(bool flag) const { return flag ? "yes" : "no"; }
  string operator()(std::uint64_t number) const {
    if (number == kInfinity) return "infinity";
    if (key.ends_with("PerSecUSec") || key.ends_with("USecPerSec")) {
      // CPU time per second is cores; waiting time is a part of each second.
      const bool is_cpu = key.find("CPU") != string_view::npos;
      return is_cpu ? publish::cores_words(static_cast<double>(number) / 1e6) : duration(number) + "/s";
    }
    if (key.ends_with("USec")) return duration(number);
    if (key.ends_with("TimestampMonotonic"))
      return fmt::format("{:.3f} s after the boot", static_cast<double>(number) / 1e6);
    return is_memory(key) ? publish::bytes_words(static_cast<double>(number)) : fmt::format("{}", number);
  }
  string operator()(double number) const {
    if (!std::isfinite(number)) return std::isnan(number) ? "not known" : "infinity";
    if (key.ends_with("Ratio")) return publish::percent_words(number);
    if (key.ends_with("BytesPerSec")) return publish::bytes_words(number) + "/s";
    return fmt::format("{:.4g}{}", number, key.ends_with("PerSec") ? "/s" : "");
  }
  string operator()(const string& text) const { return text.empty() ? "-" : text; }
  string operator()(const List& list) const {
    std::vector<string> items;
    for (const auto& item : list) items.push_back(std::visit(*this, item.is));
    return fmt::format("{}", fmt::join(items, "; "));
  }
  string operator()(const Dictionary& dictionary) const {
    std::vector<string> items;
    for (const auto& [name, value] : dictionary)
      items.push_back(fmt::format("{} {}", name, quantity(name, value)));
    return items.empty() ? "-" : fmt::format("{}", fmt::join(items, ", "));
  }
};

}  // namespace

string quantity(const string& key, const Value& value) {
  return std::visit(Spell{key}, value.is);
}

}  // namespace sluice::ctl
