#include "daemon/ctl/text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/ctl/table.hpp"
#include "daemon/publish/words/spelling.hpp"

namespace sluice::ctl {

namespace {

using std::string;

constexpr const char* kNone = "-";

// "0.63"; the column head names the quantity.
string cores(std::optional<std::uint64_t> usec_per_s, const char* otherwise) {
  if (!usec_per_s) return otherwise;
  const double value = static_cast<double>(*usec_per_s) / 1e6;
  return fmt::format("{:.{}f}", value, value != 0 && value < 0.1 ? 3 : 2);
}

// "75.0M", in the notation of configurations.
string size(std::optional<std::uint64_t> bytes, const char* otherwise) {
  if (!bytes) return otherwise;
  string text = publish::bytes_words(static_cast<double>(*bytes));
  const auto space = text.find(' ');
  const char unit = text[space + 1];
  text.erase(space);
  if (unit != 'B') text += unit;
  return text;
}

string percent(std::optional<double> value) {
  return value ? publish::percent_words(*value) : kNone;
}

// The reason of the current value, or the mode or breaker state if the task is not simply governed.
string reason(const Dictionary& task) {
  if (const string breaker = word(task, "BreakerState"); breaker != "closed") return "breaker " + breaker;
  if (string mode = word(task, "Mode"); mode != "governed") return mode;
  return word(task, "Reason");
}

std::vector<string> list_row(const Dictionary& task) {
  const auto number = [&](const char* key) { return finite(task, key); };
  return {word(task, "Name"),
          word(task, "Cause"),
          cores(number("CPUUsagePerSecUSec"), kNone),
          cores(number("CPUQuotaPerSecUSec"), "max"),
          cores(number("CPUMinPerSecUSec"), kNone) + ".." + cores(number("CPUMaxPerSecUSec"), "max"),
          percent(ratio(task, "CPUPressureRatio")),
          size(number("MemoryCurrent"), kNone),
          size(number("MemoryHigh"), "max"),
          size(number("MemoryMin"), kNone) + ".." + size(number("MemoryMax"), "max"),
          percent(ratio(task, "MemoryPressureRatio")),
          reason(task)};
}

string row(const char* name, const string& text) {
  return fmt::format("{:<10}  {}\n", name, text);
}

string of(const string& part, const string& whole) {
  return fmt::format("{} of {} allocated", part, whole);
}

string state_words(const Dictionary& manager) {
  const string why = word(manager, "SuspendReason");
  return fmt::format("{}, mode {}{}", word(manager, "State"), word(manager, "Mode"),
                     why.empty() ? "" : fmt::format(" ({})", why));
}

// A line for each configured rule that governs no task; empty if there is none.
string unmatched_text(const Dictionary& manager) {
  const auto* rules = find<List>(manager, "UnmatchedRules");
  string out;
  if (rules == nullptr) return out;
  for (const auto& rule : *rules)
    out += row(out.empty() ? "unmatched" : "", quantity("UnmatchedRules", rule));
  return out;
}

string tasks_words(const std::vector<Dictionary>& tasks) {
  std::vector<string> parts;
  for (const auto& [mode, count] : count_modes(tasks)) parts.push_back(quantity("", count) + " " + mode);
  std::size_t open = 0;
  for (const auto& task : tasks) open += word(task, "BreakerState") == "closed" ? 0 : 1;
  if (open > 0) parts.push_back(fmt::format("{} with an open breaker", open));
  return parts.empty() ? "none" : fmt::format("{}: {}", tasks.size(), fmt::join(parts, ", "));
}

// The text of a value: one line for each item of a list.
std::vector<string> lines_of(const string& key, const Value& value) {
  std::vector<string> lines;
  if (const auto* list = std::get_if<List>(&value.is)) {
    for (const auto& item : *list) lines.push_back(quantity(key, item));
  } else if (const auto* inner = std::get_if<Dictionary>(&value.is)) {
    for (const auto& [name, item] : *inner) lines.push_back(name + " " + quantity(name, item));
  } else {
    lines.push_back(quantity(key, value));
  }
  if (lines.empty()) lines.emplace_back(kNone);
  return lines;
}

// Keys and values, aligned.
string entries_text(const Dictionary& entries) {
  std::size_t width = 0;
  for (const auto& [key, value] : entries) width = std::max(width, key.size());
  string out;
  for (const auto& [key, value] : entries) {
    std::string_view head = key;
    for (const auto& line : lines_of(key, value)) {
      out += fmt::format("{:<{}}  {}\n", head, width, line);
      head = {};
    }
  }
  return out;
}

}  // namespace

Dictionary count_modes(const std::vector<Dictionary>& tasks) {
  Dictionary counts;
  for (const auto& task : tasks) {
    auto& count = counts.try_emplace(word(task, "Mode"), Value{std::uint64_t{0}}).first->second;
    ++std::get<std::uint64_t>(count.is);
  }
  return counts;
}

string status_text(const Dictionary& manager, const std::vector<Dictionary>& tasks) {
  const auto entry = [&](const char* key) {
    const auto found = manager.find(key);
    return found == manager.end() ? kNone : quantity(key, found->second);
  };
  const auto* saturated = find<bool>(manager, "Saturated");
  const string sampling = word(manager, "SamplingReason");
  return row("sluiced", entry("Version")) + row("state", state_words(manager)) +
         row("tasks", tasks_words(tasks)) +
         row("CPU", of(entry("CPUAllocatedUSecPerSec"), entry("CPUCapacityUSecPerSec"))) +
         row("memory", of(entry("MemoryAllocated"), entry("MemoryCapacity"))) +
         row("saturated", saturated == nullptr || !*saturated
                              ? "no"
                              : fmt::format("yes: {} and {} of memory are missing",
                                            entry("MissingCPUUSecPerSec"), entry("MissingMemory"))) +
         row("sampling", entry("SamplingMode") + (sampling.empty() ? "" : fmt::format(" ({})", sampling))) +
         unmatched_text(manager) + row("last error", entry("LastError"));
}

string list_text(const std::vector<Dictionary>& tasks, std::optional<std::size_t> width) {
  std::vector<std::vector<string>> rows;
  rows.reserve(tasks.size());
  for (const auto& task : tasks) rows.push_back(list_row(task));
  return table({{"TASK"},
                {"CAUSE", false, 3},
                {"CORES", true},
                {"CPU.MAX", true},
                {"BOUNDS", true, 6},
                {"PSI", true, 5},
                {"MEMORY", true, 1},
                {"MEMORY.HIGH", true, 2},
                {"BOUNDS", true, 6},
                {"PSI", true, 5},
                {"REASON", false, 4}},
               rows, width);
}

string show_text(const Dictionary& task, const Dictionary& statistics) {
  Dictionary rest = statistics;
  string seen = "It has not been sampled yet.";
  if (const auto age = rest.find("SampleAgeUSec"); age != rest.end()) {
    seen =
        fmt::format("Sampled from {}, {} ago", word(rest, "SampleSource"), quantity(age->first, age->second));
    if (const auto interval = rest.find("IntervalUSec"); interval != rest.end())
      seen += fmt::format("; rates are of the {} before that", quantity(interval->first, interval->second));
    seen += ".";
  }
  for (const char* told : {"SampleSource", "SampleAgeUSec", "IntervalUSec"}) rest.erase(told);
  return fmt::format("{} is {}, in {}. {}\n{}", word(task, "Name"), word(task, "Mode"),
                     word(task, "ControlGroup"), seen, entries_text(rest));
}

string explain_text(const Dictionary& explanation, bool verbose) {
  string text = word(explanation, "Text") + "\n";
  if (!verbose) return text;
  Dictionary rest = explanation;
  rest.erase("Text");
  return text + "\n" + entries_text(rest);
}

string history_text(const List& changes) {
  string out;
  for (const auto& change : changes) {
    const auto* fields = std::get_if<Dictionary>(&change.is);
    if (fields == nullptr) continue;
    const auto at = static_cast<std::time_t>(finite(*fields, "AtUSec").value_or(0) / 1'000'000);
    out += fmt::format("{:%F %T}  {}\n", fmt::localtime(at), word(*fields, "Text"));
  }
  return out;
}

}  // namespace sluice::ctl
