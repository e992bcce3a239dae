// What one part could not load: sentences, and whether another attempt is useful. Private to this folder.
#pragma once

#include <string>
#include <string_view>

#include "bpf/loader/kernel_programs.hpp"

namespace sluice::bpf {

class Shortfall {
 public:
  // `os_error` 0: this kernel does not have it.
  void add(std::string_view sentence, int os_error = 0);
  // "ERROR: CONSEQUENCE."
  void add(const Error& error, std::string_view consequence);

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] bool may_pass() const { return bpf::may_pass(os_error_); }
  [[nodiscard]] int os_error() const { return os_error_; }  // a temporary error if there was one
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  int os_error_ = 0;
};

}  // namespace sluice::bpf
