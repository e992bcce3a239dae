// What could not be loaded of one part: sentences, and whether another try is worth it. Private to this room.
#pragma once

#include <string>
#include <string_view>

#include "bpf/loader/kernel_programs.hpp"

namespace sluice::bpf {

class Shortfall {
 public:
  // `os_error`: 0 when this kernel simply has not got it.
  void add(std::string_view sentence, int os_error = 0);
  // "ERROR: CONSEQUENCE."
  void add(const Error& error, std::string_view consequence);

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] bool may_pass() const { return bpf::may_pass(os_error_); }
  [[nodiscard]] int os_error() const { return os_error_; }  // one that may pass before all others
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  int os_error_ = 0;
};

}  // namespace sluice::bpf
