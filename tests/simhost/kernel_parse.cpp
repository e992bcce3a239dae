#include "tests/simhost/kernel_parse.hpp"

#include <cerrno>
#include <optional>

namespace sluice::simhost {
namespace {

constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == '\xa0';
}

std::optional<unsigned> digit_of(char c, unsigned base) {
  unsigned value = 99;
  if (c >= '0' && c <= '9') value = static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') value = static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') value = static_cast<unsigned>(c - 'A') + 10;
  return value < base ? std::optional(value) : std::nullopt;
}

// Removes "0x" or recognises a leading 0, as base 0 does; the 0 of an octal number stays, because it is a
// digit.
unsigned take_base(std::string_view& text) {
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') && digit_of(text[2], 16)) {
    text.remove_prefix(2);
    return 16;
  }
  return !text.empty() && text[0] == '0' ? 8 : 10;
}

struct Digits {
  std::uint64_t value = 0;
  std::size_t count = 0;
  bool overflow = false;
};
Digits take_digits(std::string_view& text, unsigned base) {
  Digits out;
  while (!text.empty()) {
    const auto digit = digit_of(text.front(), base);
    if (!digit) break;
    if (out.value > (UINT64_MAX - *digit) / base) out.overflow = true;
    out.value = out.value * base + *digit;
    ++out.count;
    text.remove_prefix(1);
  }
  return out;
}

}  // namespace

std::string_view strip(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool scan_u64(std::string_view& text, std::uint64_t& out) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  const Digits digits = take_digits(text, 10);
  if (digits.count == 0) return false;
  out = digits.value;
  return true;
}

std::string_view scan_word(std::string_view& text, std::size_t most) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  std::size_t length = 0;
  while (length < text.size() && length < most && !is_space(text[length])) ++length;
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

tl::expected<std::uint64_t, int> kstrtoull(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const unsigned base = take_base(text);
  const Digits digits = take_digits(text, base);
  if (digits.count == 0) return tl::unexpected(EINVAL);
  if (digits.overflow) return tl::unexpected(ERANGE);
  if (!text.empty() && text.front() == '\n') text.remove_prefix(1);
  if (!text.empty()) return tl::unexpected(EINVAL);
  return digits.value;
}

tl::expected<std::uint64_t, int> memparse(std::string_view text) {
  const unsigned base = take_base(text);
  std::uint64_t value = take_digits(text, base).value;  // no digit gives 0, as in the kernel
  if (!text.empty()) {
    static constexpr std::string_view kSuffixes = "kmgtpe";
    const auto index = kSuffixes.find(static_cast<char>(text.front() | 0x20));
    if (index != std::string_view::npos) {
      value <<= 10 * (index + 1);
      text.remove_prefix(1);
    }
  }
  if (!text.empty()) return tl::unexpected(EINVAL);
  return value;
}

}  // namespace sluice::simhost
