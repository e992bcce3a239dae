#include "bpf/loader/shortfall.hpp"

#include <cerrno>

namespace sluice::bpf {
namespace {

constexpr int kNotSupportedByKernel = 524;  // ENOTSUPP, which the kernel has and userspace does not name
constexpr int kFirstOfLibbpf = 4000;        // LIBBPF_ERRNO__…: the object does not fit libbpf or the kernel

}  // namespace

bool may_pass(int os_error) {
  switch (os_error) {
    case 0:       // nothing failed: the kernel has not got it
    case EPERM:   // a capability, lockdown
    case EACCES:  // the verifier, or a file's permissions
    case EINVAL:  // the verifier, or a command that this kernel does not know
    case ENOENT:  // a name that this kernel does not have, or another one has
    case ESRCH:
    case ENOSYS:
    case EOPNOTSUPP:
    case E2BIG:   // more than this kernel takes
    case EPROTO:  // read, and not understood
    case kNotSupportedByKernel:
      return false;
    default:
      return os_error < kFirstOfLibbpf;
  }
}

void Shortfall::add(std::string_view sentence, int os_error) {
  if (!text_.empty()) text_ += ' ';
  text_ += sentence;
  if (!may_pass()) os_error_ = os_error;
}

void Shortfall::add(const Error& error, std::string_view consequence) {
  add(error.sentence + ": " + std::string(consequence) + ".", error.os_error);
}

}  // namespace sluice::bpf
