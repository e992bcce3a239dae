// Owners for libbpf's objects, and its messages as part of errors. Private to this folder.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bpf/loader/source.hpp"
#include "cgroups/fd.hpp"

namespace sluice::bpf {

// While it exists, libbpf's messages on this thread are captured instead of going to stderr.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  void append(std::string_view message) { text_ += message; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  LogCapture* outer_;
};

// "WHAT failed: error text; libbpf: its relevant lines".
Error make_error(std::string_view what, int os_error, const std::string& log = {});

// The lines of a libbpf log that give the reason: its own messages and the verifier's last lines.
std::string telling_lines(std::string_view log);

// Appends the loaded programs of the object.
void append_programs(const bpf_object* object, std::vector<Program>& programs);

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkDeleter>;

using cgroups::Fd;

// A map's memory, shared with the kernel.
class Mapping {
 public:
  Mapping() = default;
  Mapping(int map_fd, std::size_t bytes, int protection = PROT_READ)
      : bytes_(bytes), at_(mmap(nullptr, bytes, protection, MAP_SHARED, map_fd, 0)) {}
  Mapping(Mapping&& other) noexcept
      : bytes_(std::exchange(other.bytes_, 0)), at_(std::exchange(other.at_, MAP_FAILED)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(at_, other.at_);
    return *this;
  }
  ~Mapping() {
    if (*this) munmap(at_, bytes_);
  }
  explicit operator bool() const { return at_ != MAP_FAILED; }
  const std::byte* data() const { return static_cast<const std::byte*>(at_); }
  std::byte* writable() { return static_cast<std::byte*>(at_); }  // mapped with PROT_WRITE

 private:
  std::size_t bytes_ = 0;
  void* at_ = MAP_FAILED;
};

}  // namespace sluice::bpf
