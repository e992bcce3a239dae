#include "daemon/record/codec.hpp"

#include <utility>

namespace sluice::record {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

bool plain(unsigned char c) {
  return c > ' ' && c < 0x7f && c != '%' && c != '#';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::uint64_t& place_in(Base& base, std::size_t at) {
  if (at >= base.size()) base.resize(at + 1);
  return base[at];
}

}  // namespace

// ---- writing --------------------------------------------------------------------------------------------

void Encoder::against(Base& base) {
  base_ = &base;
  at_ = run_ = 0;
}

void Encoder::done() {
  end_run();
  base_ = nullptr;
}

void Encoder::end_run() {
  if (run_ == 0) return;
  token(std::exchange(run_, 0));
  out_.insert(out_.rfind(' ') + 1, 1, '=');
}

void Encoder::number(std::uint64_t bits, bool is_signed) {
  if (base_ == nullptr) return is_signed ? token(static_cast<std::int64_t>(bits)) : token(bits);
  std::uint64_t& last = place_in(*base_, at_++);
  if (mute_) return;
  const auto difference = static_cast<std::int64_t>(bits - last);  // wraps, and wraps back
  last = bits;
  if (difference == 0) {
    ++run_;
    return;
  }
  end_run();
  token(difference);
}

// Reals and text are no differences: they end a run, and an absent one keeps no place.
void Encoder::real(double v) {
  if (mute_) return;
  end_run();
  token(v);
}

void Encoder::text(std::string_view v) {
  if (mute_) return;
  end_run();
  out_ += " '";
  for (const char c : v) {
    const auto byte = static_cast<unsigned char>(c);
    if (plain(byte)) {
      out_ += c;
    } else {
      out_ += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
}

// ---- reading --------------------------------------------------------------------------------------------

void Decoder::fail(std::string what) {
  if (what_.empty()) what_ = std::move(what);
  at_ = in_.size();
  run_ = 0;
}

void Decoder::against(Base& base) {
  base_ = &base;
  place_ = run_ = 0;
}

void Decoder::done() {
  if (run_ != 0) fail("a run of unchanged numbers that is too long");
  base_ = nullptr;
}

std::string_view Decoder::token() {
  if (at_ >= in_.size()) {
    fail("the line ends too early");
    return {};
  }
  if (in_[at_] == ' ') ++at_;
  const std::size_t end = std::min(in_.find(' ', at_), in_.size());
  const auto found = in_.substr(at_, end - at_);
  at_ = end;
  return found;
}

std::size_t Decoder::size() {
  std::size_t n = 0;
  value(n);
  if (n > in_.size() - at_) {
    fail("a list that is longer than its line");
    return 0;
  }
  return n;
}

std::uint64_t Decoder::number(std::int64_t least, std::uint64_t most, bool is_signed) {
  std::uint64_t bits = 0;
  const auto read = [&](auto& into, std::string_view digits) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), into);
    if (error != std::errc{} || end != digits.data() + digits.size())
      fail("'" + std::string(digits.substr(0, 40)) + "' where a number belongs");
  };
  if (base_ == nullptr) {
    std::int64_t n = 0;
    if (is_signed) {
      read(n, token());
      bits = static_cast<std::uint64_t>(n);
    } else {
      read(bits, token());
    }
  } else {
    std::uint64_t& last = place_in(*base_, place_++);
    if (mute_) return 0;
    std::int64_t difference = 0;
    if (run_ > 0) {
      --run_;
    } else if (const auto found = token(); found.starts_with('=')) {
      read(run_, found.substr(1));
      if (good() && run_ == 0) fail("an empty run of unchanged numbers");
      if (run_ > 0) --run_;
    } else {
      read(difference, found);
    }
    last += static_cast<std::uint64_t>(difference);
    bits = last;
  }
  const bool fits = is_signed ? static_cast<std::int64_t>(bits) >= least &&
                                    static_cast<std::int64_t>(bits) <= static_cast<std::int64_t>(most)
                              : bits <= most;
  if (!fits) fail("a number that is out of its range");
  return good() ? bits : 0;
}

double Decoder::real() {
  if (mute_) return 0;
  const auto found = token();
  double v = 0;
  const auto [end, error] = std::from_chars(found.data(), found.data() + found.size(), v);
  if (error != std::errc{} || end != found.data() + found.size())
    fail("'" + std::string(found.substr(0, 40)) + "' where a real number belongs");
  return good() ? v : 0;
}

std::string Decoder::text() {
  if (mute_) return {};
  const auto found = token();
  std::string v;
  if (!found.starts_with('\'')) fail("'" + std::string(found.substr(0, 40)) + "' where text belongs");
  for (std::size_t i = 1; i < found.size() && good(); ++i) {
    if (found[i] != '%') {
      v += found[i];
      continue;
    }
    const int high = i + 1 < found.size() ? hex_value(found[i + 1]) : -1;
    const int low = i + 2 < found.size() ? hex_value(found[i + 2]) : -1;
    if (high < 0 || low < 0) fail("a '%' that no two hexadecimal digits follow");
    v += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return v;
}

}  // namespace sluice::record
