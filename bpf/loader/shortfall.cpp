#include "bpf/loader/shortfall.hpp"

#include <cerrno>

namespace sluice::bpf {
namespace {

constexpr int kNotSupportedByKernel = 524;  // ENOTSUPP of the kernel, which has no name in userspace
constexpr int kFirstOfLibbpf = 4000;        // LIBBPF_ERRNO__…: the object does not fit libbpf or the kernel

}  // namespace

bool may_pass(int os_error) {
  switch (os_error) {
    case 0:       // no failure: the kernel does not have it
    case EPERM:   // a capability, lockdown
    case EACCES:  // the verifier, or a file's permissions
    case EINVAL:  // the verifier, or a command unknown to this kernel
    case ENOENT:  // a name unknown to this kernel or with another meaning
    case ESRCH:
    case ENOSYS:
    case EOPNOTSUPP:
    case E2BIG:   // too large for this kernel
    case EPROTO:  // it was read but could not be parsed
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
