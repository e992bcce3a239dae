// Encodes values as text tokens separated by one space, and decodes them. Numbers are decimal. Reals are the
// shortest text that reads back to the same bits. Text starts with ' and has special bytes as %XX.
//
// With a base (the same task's last sample) numbers are written as differences, and runs of unchanged ones as
// "=N": an idle task takes a few dozen bytes per tick. Pure: no I/O; any thread.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "daemon/record/fields.hpp"

namespace sluice::record {

// The values of the last sample, by position.
struct Base {
  std::vector<std::uint64_t> numbers;  // includes the bits of reals
  std::vector<std::string> texts;
};

namespace traits {
template <class T>
inline constexpr bool is_duration = false;
template <class R, class P>
inline constexpr bool is_duration<std::chrono::duration<R, P>> = true;
template <class T>
inline constexpr bool is_time_point = false;
template <class C, class D>
inline constexpr bool is_time_point<std::chrono::time_point<C, D>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_array = false;
template <class T, std::size_t N>
inline constexpr bool is_array<std::array<T, N>> = true;
template <class T>
inline constexpr bool is_map = false;
template <class K, class T, class C, class A>
inline constexpr bool is_map<std::map<K, T, C, A>> = true;
template <class T>
inline constexpr bool is_variant = false;
template <class... T>
inline constexpr bool is_variant<std::variant<T...>> = true;
}  // namespace traits

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  template <class... T>
  void operator()(const T&... values) {
    (value(values), ...);
  }
  // From here until done(), numbers are written as differences to the base, and text only if it differs. The
  // base is updated.
  void against(Base& base);
  void done();

 private:
  template <class T>
  void value(const T& v) {
    if constexpr (std::is_enum_v<T>) {
      number(static_cast<std::uint64_t>(v), false);
    } else if constexpr (std::integral<T>) {
      number(static_cast<std::uint64_t>(v), std::signed_integral<T>);
    } else if constexpr (std::same_as<T, double>) {
      real(v);
    } else if constexpr (std::same_as<T, std::string>) {
      text(v);
    } else if constexpr (traits::is_duration<T>) {
      value(v.count());
    } else if constexpr (traits::is_time_point<T>) {
      value(v.time_since_epoch());
    } else if constexpr (traits::is_optional<T>) {
      value(v.has_value());
      // An absent value keeps its places in the base.
      const bool mute = std::exchange(mute_, mute_ || (base_ != nullptr && !v));
      if (v)
        value(*v);
      else if (base_ != nullptr)
        value(typename T::value_type{});
      mute_ = mute;
    } else if constexpr (traits::is_vector<T>) {
      value(v.size());
      for (const auto& each : v) value(each);
    } else if constexpr (traits::is_map<T>) {
      value(v.size());
      for (const auto& [key, each] : v) (value(key), value(each));
    } else if constexpr (traits::is_array<T>) {
      for (const auto& each : v) value(each);
    } else if constexpr (traits::is_variant<T>) {
      value(v.index());
      std::visit([&](const auto& each) { value(each); }, v);
    } else {
      fields(*this, v);
    }
  }
  void number(std::uint64_t bits, bool is_signed);
  void real(double v);
  void text(std::string_view v);
  template <class Number>
  void token(Number n) {
    char digits[32];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), n).ptr;
    out_ += ' ';
    out_.append(digits, end);
  }
  void end_run();

  std::string& out_;
  Base* base_ = nullptr;
  std::size_t at_ = 0, text_at_ = 0, run_ = 0;
  bool mute_ = false;
};

// After the first mismatch everything reads as zero, and what() describes the mismatch.
class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}

  template <class... T>
  void operator()(T&... values) {
    (value(values), ...);
  }
  void against(Base& base);
  void done();

  bool good() const { return what_.empty(); }
  bool at_end() const { return at_ >= in_.size(); }
  const std::string& what() const { return what_; }
  void fail(std::string what);

 private:
  template <class T>
  void value(T& v) {
    if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> n{};
      value(n);
      v = static_cast<T>(n);
    } else if constexpr (std::same_as<T, bool>) {
      v = number(0, 1, false) != 0;
    } else if constexpr (std::integral<T>) {
      v = static_cast<T>(number(static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                                static_cast<std::uint64_t>(std::numeric_limits<T>::max()),
                                std::signed_integral<T>));
    } else if constexpr (std::same_as<T, double>) {
      v = real();
    } else if constexpr (std::same_as<T, std::string>) {
      v = text();
    } else if constexpr (traits::is_duration<T>) {
      typename T::rep count{};
      value(count);
      v = T(count);
    } else if constexpr (traits::is_time_point<T>) {
      typename T::duration since{};
      value(since);
      v = T(since);
    } else if constexpr (traits::is_optional<T>) {
      bool present = false;
      value(present);
      const bool mute = std::exchange(mute_, mute_ || (base_ != nullptr && !present));
      typename T::value_type content{};
      if (present || base_ != nullptr) value(content);
      mute_ = mute;
      v = present ? T(std::move(content)) : T();
    } else if constexpr (traits::is_vector<T>) {
      const std::size_t n = size();
      v.clear();
      v.reserve(std::min(n, kReserveMax));
      for (std::size_t i = 0; i < n && good(); ++i) value(v.emplace_back());
    } else if constexpr (traits::is_map<T>) {
      const std::size_t n = size();
      v.clear();
      for (std::size_t i = 0; i < n && good(); ++i) {
        typename T::key_type key{};
        value(key);
        value(v[std::move(key)]);
      }
    } else if constexpr (traits::is_array<T>) {
      for (auto& each : v) value(each);
    } else if constexpr (traits::is_variant<T>) {
      std::size_t index = 0;
      value(index);
      alternative<0>(v, index);
    } else {
      fields(*this, v);
    }
  }
  template <std::size_t I, class V>
  void alternative(V& v, std::size_t index) {
    if constexpr (I == std::variant_size_v<V>) {
      fail("a kind of value that does not exist");
    } else if (I == index) {
      value(v.template emplace<I>());
    } else {
      alternative<I + 1>(v, index);
    }
  }
  static constexpr std::size_t kReserveMax = 4096;
  std::string_view token();
  std::size_t size();  // of a list; at most the number of bytes left
  std::uint64_t number(std::int64_t least, std::uint64_t most, bool is_signed);
  double real();
  std::string text();
  std::string spelled();

  std::string_view in_;
  std::size_t at_ = 0;
  std::string what_;
  Base* base_ = nullptr;
  std::size_t place_ = 0, text_place_ = 0, run_ = 0;
  bool mute_ = false;
};

}  // namespace sluice::record
