// Values from the bus, independent of any bus library. Numbers follow the interface's conventions
// (daemon/publish/README.md): 18446744073709551615 is infinity or, for a reading, unknown; NaN is unknown.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sluice::ctl {

struct Value;
using List = std::vector<Value>;
using Dictionary = std::map<std::string, Value>;
struct Value {
  std::variant<bool, std::uint64_t, double, std::string, List, Dictionary> is;
};

inline constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();

// The value, if it exists with this type; otherwise nullptr.
template <class Type>
const Type* find(const Dictionary& in, const char* key) {
  const auto found = in.find(key);
  return found == in.end() ? nullptr : std::get_if<Type>(&found->second.is);
}
inline std::string word(const Dictionary& in, const char* key) {
  const auto* text = find<std::string>(in, key);
  return text == nullptr ? std::string() : *text;
}
inline std::optional<std::uint64_t> finite(const Dictionary& in, const char* key) {
  const auto* number = find<std::uint64_t>(in, key);
  return number == nullptr || *number == kInfinity ? std::nullopt : std::optional(*number);
}
inline std::optional<double> ratio(const Dictionary& in, const char* key) {
  const auto* number = find<double>(in, key);
  return number == nullptr || !std::isfinite(*number) ? std::nullopt : std::optional(*number);
}

}  // namespace sluice::ctl
