#include "config/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace sluice::config {
namespace {

using Int = std::int64_t;
constexpr Int kMost = std::numeric_limits<Int>::max();

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kBlank = " \t";

struct Unit {
  std::string_view name;
  Int scale;
};

constexpr auto kDurationUnits = std::to_array<Unit>({
    {"us", 1},
    {"µs", 1},
    {"usec", 1},
    {"ms", 1'000},
    {"msec", 1'000},
    {"s", 1'000'000},
    {"sec", 1'000'000},
    {"second", 1'000'000},
    {"seconds", 1'000'000},
    {"m", 60'000'000},
    {"min", 60'000'000},
    {"minute", 60'000'000},
    {"minutes", 60'000'000},
    {"h", 3'600'000'000},
    {"hr", 3'600'000'000},
    {"hour", 3'600'000'000},
    {"hours", 3'600'000'000},
    {"d", 86'400'000'000},
    {"day", 86'400'000'000},
    {"days", 86'400'000'000},
    {"w", 604'800'000'000},
    {"week", 604'800'000'000},
    {"weeks", 604'800'000'000},
});

std::string_view take_while(std::string_view& text, std::string_view set) {
  auto taken = text.substr(0, text.find_first_not_of(set));
  text.remove_prefix(taken.size());
  return taken;
}

std::string_view trim(std::string_view text) {
  take_while(text, kBlank);
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

bool take_sign(std::string_view& text) {
  if (!text.starts_with('-')) return false;
  text.remove_prefix(1);
  return true;
}

Int saturating_add(Int a, Int b) {
  return a > kMost - b ? kMost : a + b;
}

struct Decimal {
  std::string_view whole, fraction;

  [[nodiscard]] Int scaled(Int scale) const {
    Int n = 0;
    if (!whole.empty() && std::from_chars(whole.data(), whole.data() + whole.size(), n).ec != std::errc{})
      return kMost;
    if (n > kMost / scale) return kMost;
    constexpr std::size_t kDigitsThatCount = 18;
    long double part = 0, place = 1;
    for (const char digit : fraction.substr(0, kDigitsThatCount)) {
      part = part * 10 + (digit - '0');
      place *= 10;
    }
    return saturating_add(n * scale, std::llround(part * static_cast<long double>(scale) / place));
  }
};

// Digits, digits.digits or .digits.
std::optional<Decimal> take_decimal(std::string_view& text) {
  Decimal d{.whole = take_while(text, kDigits), .fraction = {}};
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    d.fraction = take_while(text, kDigits);
    if (d.fraction.empty()) return std::nullopt;
  }
  if (d.whole.empty() && d.fraction.empty()) return std::nullopt;
  return d;
}

// from_chars alone would accept "inf", "nan" and exponents.
std::optional<double> plain_double(std::string_view text) {
  auto rest = text;
  take_sign(rest);
  if (!take_decimal(rest) || !rest.empty()) return std::nullopt;
  double value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) {
    // Out of range of a double: an overflow becomes infinity, an underflow becomes zero.
    value = text.find_first_not_of("-0.") > text.find('.')
                ? 0
                : std::copysign(HUGE_VAL, text.front() == '-' ? -1 : 1);
  }
  return value;
}

std::string join_number(double value, std::string_view unit) {
  return show_number(value) + std::string(unit);
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  text = trim(text);
  const bool negative = take_sign(text);
  if (text.empty()) return std::nullopt;
  Int total = 0;
  while (!text.empty()) {
    const auto number = take_decimal(text);
    if (!number) return std::nullopt;
    take_while(text, kBlank);
    const auto name = text.substr(0, text.find_first_of(" \t.0123456789-"));
    text.remove_prefix(name.size());
    const Unit* unit = nullptr;
    for (const auto& u : kDurationUnits) {
      if (u.name == name) unit = &u;
    }
    if (unit == nullptr) return std::nullopt;
    total = saturating_add(total, number->scaled(unit->scale));
    take_while(text, kBlank);
  }
  return Duration{negative ? -total : total};
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  text = trim(text);
  const bool negative = take_sign(text);
  const auto number = take_decimal(text);
  if (!number) return std::nullopt;
  take_while(text, kBlank);
  Int scale = 1;
  if (!text.empty() && text != "B") {
    const auto power = std::string_view("KMGTPE").find(text.front());
    if (power == std::string_view::npos) return std::nullopt;
    text.remove_prefix(1);
    if (!text.empty() && text != "iB") return std::nullopt;
    scale = Int{1} << (10 * (power + 1));
  }
  if (scale == 1 && !number->fraction.empty()) return std::nullopt;
  const Int value = number->scaled(scale);
  return negative ? -value : value;
}

std::optional<double> parse_cores(std::string_view text) {
  text = trim(text);
  if (text.ends_with('%')) return parse_ratio(text);
  if (!text.ends_with('m')) return plain_double(text);
  const auto thousandths = plain_double(text.substr(0, text.size() - 1));
  if (!thousandths) return std::nullopt;
  return *thousandths / 1000;
}

std::optional<double> parse_ratio(std::string_view text) {
  text = trim(text);
  if (!text.ends_with('%')) return plain_double(text);
  const auto percent = plain_double(trim(text.substr(0, text.size() - 1)));
  if (!percent) return std::nullopt;
  return *percent / 100;
}

std::string show_duration(Duration value) {
  Int left = value.count();
  if (left == 0) return "0s";
  std::string text = left < 0 ? "-" : "";
  if (left == std::numeric_limits<Int>::min()) ++left;  // its negation does not fit
  left = left < 0 ? -left : left;
  for (const auto& unit : {Unit{"d", 86'400'000'000}, Unit{"h", 3'600'000'000}, Unit{"m", 60'000'000},
                           Unit{"s", 1'000'000}, Unit{"ms", 1'000}, Unit{"us", 1}}) {
    if (const Int n = left / unit.scale; n != 0) text += fmt::format("{}{}", n, unit.name);
    left %= unit.scale;
  }
  return text;
}

std::string show_bytes(std::int64_t value) {
  for (int power = 6; power > 0; --power) {
    const Int scale = Int{1} << (10 * power);
    if (value != 0 && value % scale == 0) return fmt::format("{}{}iB", value / scale, "KMGTPE"[power - 1]);
  }
  return fmt::format("{} bytes", value);
}

std::string show_number(double value) {
  return fmt::format("{:.9g}", value);
}
std::string show_cores(double value) {
  return join_number(value, value == 1 ? " core" : " cores");
}
std::string show_ratio(double value) {
  return join_number(value * 100, "%");
}

}  // namespace sluice::config
