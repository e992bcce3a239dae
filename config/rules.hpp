// Rules for values: how one kind of value is read, its name and its range. Private to this folder. Only this
// file and read.cpp use toml++.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/text.hpp"
#include "config/toml.hpp"
#include "config/units.hpp"

namespace sluice::config {

// A value of the file as shown in messages.
inline std::string found(const toml::node& node) {
  if (const auto* v = node.as_string()) return in_quotes(v->get());
  if (const auto* v = node.as_integer()) return fmt::format("{}", v->get());
  if (const auto* v = node.as_floating_point()) return fmt::format("{}", v->get());
  if (const auto* v = node.as_boolean()) return v->get() ? "true" : "false";
  if (node.is_table()) return "a table";
  if (node.is_array()) return "an array";
  return node.is_time() ? "a time" : "a date";
}

// How values of one kind are read (nullopt: not of this kind), named and shown.
template <class T>
struct Kind {
  std::optional<T> (*read)(const toml::node&);
  std::string_view called;
  std::string (*show)(T);
};

// A number, or a string in the notation of the kind.
template <std::optional<double> (*parse)(std::string_view)>
std::optional<double> number_or(const toml::node& node) {
  if (const auto* v = node.as_string()) return parse(v->get());
  if (const auto* v = node.as_integer()) return static_cast<double>(v->get());
  if (const auto* v = node.as_floating_point()) return v->get();
  return std::nullopt;
}

inline std::optional<double> not_a_number(std::string_view) {
  return std::nullopt;
}

inline constexpr Kind<Duration> kDuration{[](const toml::node& node) {
                                            const auto* v = node.as_string();
                                            return v != nullptr ? parse_duration(v->get()) : std::nullopt;
                                          },
                                          R"(a duration with its unit, such as "100ms" or "1h30m")",
                                          show_duration};

inline constexpr Kind<std::int64_t> kBytes{[](const toml::node& node) -> std::optional<std::int64_t> {
                                             if (const auto* v = node.as_integer()) return v->get();
                                             const auto* v = node.as_string();
                                             return v != nullptr ? parse_bytes(v->get()) : std::nullopt;
                                           },
                                           R"(bytes, such as "512MiB", "1G" (of 1024) or 536870912)",
                                           show_bytes};

inline constexpr Kind<double> kCores{number_or<parse_cores>,
                                     R"(a number of cores, such as 0.5, "500m" or "50%")", show_cores};
inline constexpr Kind<double> kRatio{number_or<parse_ratio>, R"(a ratio, such as 0.1 or "10%")", show_ratio};
inline constexpr Kind<double> kNumber{number_or<not_a_number>, "a number", show_number};

inline constexpr Kind<std::int64_t> kWhole{[](const toml::node& node) -> std::optional<std::int64_t> {
                                             const auto* v = node.as_integer();
                                             return v != nullptr ? std::optional(v->get()) : std::nullopt;
                                           },
                                           "a whole number",
                                           [](std::int64_t v) { return fmt::format("{}", v); }};

// A rule returns the value, or what is wrong: the part of the message after "found X, ".
template <class T>
using Ruled = std::pair<std::optional<T>, std::string>;

template <class T>
struct InRange {
  const Kind<T>& kind;
  T low, high;
  bool below_high = false;

  Ruled<T> operator()(const toml::node& node) const {
    const auto value = kind.read(node);
    if (!value) return {std::nullopt, fmt::format("must be {}", kind.called)};
    if (!(*value >= low)) return {std::nullopt, "must be at least " + kind.show(low)};  // false for NaN
    if (below_high && *value >= high) return {std::nullopt, "must be below " + kind.show(high)};
    if (*value > high) return {std::nullopt, "must be at most " + kind.show(high)};
    return {value, {}};
  }
};

template <class T>
struct OneOf {
  std::vector<std::pair<std::string_view, T>> choices;

  Ruled<T> operator()(const toml::node& node) const {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : choices) {
      if (const auto* v = node.as_string(); v != nullptr && v->get() == name) return {value, {}};
      names.push_back(name);
    }
    return {std::nullopt, "must be " + listed(names)};
  }
};

inline Ruled<bool> true_or_false(const toml::node& node) {
  if (const auto* v = node.as_boolean()) return {v->get(), {}};
  return {std::nullopt, "must be true or false, without quotes"};
}

// A string in which `fault` finds nothing wrong.
template <std::string (*fault)(std::string_view)>
Ruled<std::string> text_without(const toml::node& node) {
  const auto* v = node.as_string();
  if (v == nullptr) return {std::nullopt, "must be a string in quotes"};
  if (auto says = fault(v->get()); !says.empty()) return {std::nullopt, std::move(says)};
  return {v->get(), {}};
}

}  // namespace sluice::config
