#include "cgroups/glob.hpp"

#include <array>
#include <cstddef>
#include <optional>

namespace sluice::cgroups {
namespace {

// Character classes of the "C" locale: the result must not depend on the process's locale.
bool in_range(char c, char low, char high) {
  const auto u = [](char x) { return static_cast<unsigned char>(x); };
  return u(low) <= u(c) && u(c) <= u(high);
}
bool is_lower(char c) {
  return in_range(c, 'a', 'z');
}
bool is_upper(char c) {
  return in_range(c, 'A', 'Z');
}
bool is_digit(char c) {
  return in_range(c, '0', '9');
}
bool is_alpha(char c) {
  return is_lower(c) || is_upper(c);
}
bool is_alnum(char c) {
  return is_alpha(c) || is_digit(c);
}
bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool is_space(char c) {
  return c == ' ' || in_range(c, '\t', '\r');
}
bool is_graph(char c) {
  return in_range(c, '!', '~');
}
bool is_print(char c) {
  return in_range(c, ' ', '~');
}
bool is_punct(char c) {
  return is_graph(c) && !is_alnum(c);
}
bool is_cntrl(char c) {
  return in_range(c, '\0', '\x1f') || c == '\x7f';
}
bool is_xdigit(char c) {
  return is_digit(c) || in_range(c, 'a', 'f') || in_range(c, 'A', 'F');
}

struct Class {
  std::string_view name;
  bool (*contains)(char);
};
constexpr std::array<Class, 12> kClasses = {{{"alnum", is_alnum},
                                             {"alpha", is_alpha},
                                             {"blank", is_blank},
                                             {"cntrl", is_cntrl},
                                             {"digit", is_digit},
                                             {"graph", is_graph},
                                             {"lower", is_lower},
                                             {"print", is_print},
                                             {"punct", is_punct},
                                             {"space", is_space},
                                             {"upper", is_upper},
                                             {"xdigit", is_xdigit}}};

struct Bracket {
  bool matches = false;
  std::size_t end = 0;  // the index after ']'
};

// `at` is the index after '['. None: the bracket is never closed, so '[' is a literal.
std::optional<Bracket> match_bracket(std::string_view pattern, std::size_t at, char c) {
  const auto peek = [&](std::size_t i) { return i < pattern.size() ? pattern[i] : '\0'; };
  const bool negated = peek(at) == '!' || peek(at) == '^';
  if (negated) ++at;
  bool found = false;
  for (const std::size_t first = at; at < pattern.size();) {
    if (pattern[at] == ']' && at != first) return Bracket{found != negated, at + 1};
    if (pattern.substr(at, 2) == "[:") {
      if (const auto end = pattern.find(":]", at + 2); end != std::string_view::npos) {
        const auto name = pattern.substr(at + 2, end - at - 2);
        for (const auto& known : kClasses) found |= known.name == name && known.contains(c);
        at = end + 2;
        continue;
      }
    }
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    const char low = pattern[at++];
    char high = low;
    if (peek(at) == '-' && at + 1 < pattern.size() && pattern[at + 1] != ']') {
      at += pattern[at + 1] == '\\' && at + 2 < pattern.size() ? 2 : 1;
      high = pattern[at++];
    }
    found |= in_range(c, low, high);
  }
  return std::nullopt;
}

// Returns the index in `pattern` after the element at `at` that matches the byte `c`; none if it does not
// match. Not for '*'.
std::optional<std::size_t> match_one(std::string_view pattern, std::size_t at, char c) {
  if (at == pattern.size()) return std::nullopt;
  if (pattern[at] == '?') return at + 1;
  if (pattern[at] == '[') {
    if (const auto bracket = match_bracket(pattern, at + 1, c)) {
      return bracket->matches ? std::optional(bracket->end) : std::nullopt;
    }
  }
  if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
  return pattern[at] == c ? std::optional(at + 1) : std::nullopt;
}

// On a mismatch only the last '*' takes one more byte: extending an earlier one cannot help.
bool match_component(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::optional<std::size_t> star;  // index after the last '*'
  std::size_t star_n = 0;           // index where its match ends
  while (n < name.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_n = n;
      continue;
    }
    if (n < name.size()) {
      if (const auto next = match_one(pattern, p, name[n])) {
        p = *next;
        ++n;
        continue;
      }
    }
    if (!star || star_n == name.size()) return false;
    p = *star;
    n = ++star_n;
  }
  return true;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view path) {
  for (;;) {
    const auto pattern_end = pattern.find('/');
    const auto path_end = path.find('/');
    if (!match_component(pattern.substr(0, pattern_end), path.substr(0, path_end))) return false;
    if (pattern_end == std::string_view::npos || path_end == std::string_view::npos)
      return pattern_end == path_end;
    pattern.remove_prefix(pattern_end + 1);
    path.remove_prefix(path_end + 1);
  }
}

bool unit_match(std::string_view pattern, std::string_view path) {
  const auto name = last_component(path);
  return match_component(pattern, name) || match_component(pattern, unescape_unit(name));
}

std::string_view last_component(std::string_view path) {
  const auto at = path.rfind('/');
  return at == std::string_view::npos ? path : path.substr(at + 1);
}

std::string_view unescape_unit(std::string_view component) {
  if (component.starts_with('_')) component.remove_prefix(1);
  return component;
}

}  // namespace sluice::cgroups
