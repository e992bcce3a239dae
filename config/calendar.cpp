#include "config/calendar.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "config/text.hpp"

namespace sluice::config {
namespace {

using std::string;
using std::string_view;

constexpr string_view kForm =
    R"(must be "[WEEKDAYS] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]] [UTC]", such as "Mon..Fri 08:55", )"
    R"("*-*-1 06:00" or "Sat,Sun *:0/15 UTC", or hourly, daily, weekly or monthly)";

constexpr auto kWeekdays = std::to_array<string_view>(
    {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"});

string lower(string_view text) {
  string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::vector<string_view> split(string_view text, string_view at) {
  std::vector<string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == string_view::npos) return parts;
    text.remove_prefix(end + at.size());
  }
}

std::vector<string_view> words_of(string_view text) {
  std::vector<string_view> words;
  for (const auto word : split(text, " ")) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

std::optional<int> number(string_view text) {
  int n = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || text.front() == '-' || std::from_chars(text.data(), end, n).ptr != end)
    return std::nullopt;
  return n;
}

// One part of a date or a time, and its range.
struct Part {
  string_view name;
  int low, high;
};

using Values = tl::expected<std::vector<int>, string>;

// All numbers that a part's text allows; none for "*".
Values values_of(string_view text, const Part& part) {
  std::vector<int> values;
  if (text == "*") return values;
  const auto wrong = [&](string_view item) {
    return tl::unexpected(fmt::format(
        R"(must have as its {0} "*" or a list of {1}..{2}, as "{1}", "{1}..{2}" or "{1}/2", not {3})",
        part.name, part.low, part.high, in_quotes(item)));
  };
  for (const auto item : split(text, ",")) {
    const auto slash = item.find('/');
    const auto span = item.substr(0, slash);
    const auto dots = span.find("..");
    const auto first = number(span.substr(0, dots));
    const auto last = dots != string_view::npos    ? number(span.substr(dots + 2))
                      : slash != string_view::npos ? std::optional(part.high)
                                                   : first;
    const auto step = slash != string_view::npos ? number(item.substr(slash + 1)) : std::optional(1);
    if (!first || !last || !step || *step < 1 || *first < part.low || *last > part.high || *first > *last)
      return wrong(item);
    // A step without an end must fit at least once, as in systemd; otherwise it is a mistake.
    if (slash != string_view::npos && dots == string_view::npos && *first + *step > part.high)
      return wrong(item);
    for (int n = *first; n <= *last; n += *step) values.push_back(n);
  }
  return values;
}

template <class Set>
tl::expected<void, string> fill(Set& set, string_view text, const Part& part) {
  const auto values = values_of(text, part);
  if (!values) return tl::unexpected(values.error());
  set = 0;
  const auto add = [&set](int n) { set = static_cast<Set>(set | Set{1} << n); };
  for (int n = part.low; values->empty() && n <= part.high; ++n) add(n);
  for (const int n : *values) add(n);
  return {};
}

std::optional<int> weekday_of(string_view name) {
  const string low = lower(name);
  for (std::size_t i = 0; i < kWeekdays.size(); ++i) {
    if (low == kWeekdays[i] || low == kWeekdays[i].substr(0, 3)) return static_cast<int>(i);
  }
  return std::nullopt;
}

tl::expected<void, string> fill_weekdays(Calendar& out, string_view text) {
  out.weekdays = 0;
  for (const auto item : split(text, ",")) {
    const auto dots = item.find("..");
    const auto first = weekday_of(item.substr(0, dots));
    const auto last = dots == string_view::npos ? first : weekday_of(item.substr(dots + 2));
    if (!first || !last || *first > *last) {
      return tl::unexpected(fmt::format(
          R"(must have as its weekdays a list of Mon to Sun, as "Mon..Wed,Sat"; a week begins with Mon, not {})",
          in_quotes(item)));
    }
    for (int day = *first; day <= *last; ++day)
      out.weekdays = static_cast<std::uint8_t>(out.weekdays | 1U << day);
  }
  return {};
}

tl::expected<void, string> fill_date(Calendar& out, string_view text) {
  const auto parts = split(text, "-");
  if (parts.size() < 2 || parts.size() > 3) return tl::unexpected(string(kForm));
  if (parts.size() == 3) {
    const auto years = values_of(parts[0], {"year", 1970, 2199});
    if (!years) return tl::unexpected(years.error());
    out.years.assign(years->begin(), years->end());
  }
  const auto rest = std::span(parts).last(2);
  const auto months = fill(out.months, rest[0], {"month", 1, 12});
  return months ? fill(out.days, rest[1], {"day", 1, 31}) : months;
}

tl::expected<void, string> fill_time(Calendar& out, string_view text) {
  const auto parts = split(text, ":");
  if (parts.size() > 3) return tl::unexpected(string(kForm));
  auto filled = fill(out.hours, parts[0], {"hour", 0, 23});
  if (filled) filled = fill(out.minutes, parts[1], {"minute", 0, 59});
  if (filled && parts.size() == 3) filled = fill(out.seconds, parts[2], {"second", 0, 59});
  return filled;
}

std::optional<Calendar> shorthand(string_view word) {
  const string name = lower(word);
  Calendar c;
  if (name == "hourly") c.hours = 0xff'ffff;
  if (name == "weekly") c.weekdays = 1;
  if (name == "monthly") c.days = 2;
  const bool known = name == "hourly" || name == "daily" || name == "weekly" || name == "monthly";
  return known ? std::optional(c) : std::nullopt;
}

bool ever_comes(const Calendar& c) {
  constexpr std::array<std::uint32_t, 13> kDays{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (std::size_t month = 1; month < kDays.size(); ++month) {
    const auto longest = static_cast<std::uint32_t>((std::uint64_t{2} << kDays[month]) - 1);
    if ((c.months >> month & 1U) != 0 && (c.days & longest) != 0) return true;
  }
  return false;
}

}  // namespace

tl::expected<Calendar, string> parse_calendar(string_view text) {
  auto words = words_of(text);
  Calendar out;
  if (!words.empty() && lower(words.back()) == "utc") {
    out.utc = true;
    words.pop_back();
  }
  if (words.size() == 1) {
    if (auto named = shorthand(words[0])) {
      named->utc = out.utc;
      return *named;
    }
  }
  if (words.empty()) return tl::unexpected(string(kForm));
  // The parts must be in this order, each at most once.
  int stage = 0;
  for (const auto word : words) {
    const bool time = word.find(':') != string_view::npos;
    const bool date = !time && word.find('-') != string_view::npos;
    const bool letters = (word.front() | 0x20) >= 'a' && (word.front() | 0x20) <= 'z';
    const int next = time ? 3 : date ? 2 : 1;
    if (letters && stage > 0) {
      return tl::unexpected(fmt::format(
          R"(must end with "UTC" or with no time zone, which is the host's own (timedatectl), not {})",
          in_quotes(word)));
    }
    if (next <= stage || (next == 1) != letters) return tl::unexpected(string(kForm));
    stage = next;
    auto filled = time ? fill_time(out, word) : date ? fill_date(out, word) : fill_weekdays(out, word);
    if (!filled) return tl::unexpected(std::move(filled.error()));
  }
  if (!ever_comes(out))
    return tl::unexpected(string("must name a day that comes: no such month has such a day"));
  return out;
}

}  // namespace sluice::config
