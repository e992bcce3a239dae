#include "bpf/loader/libbpf.hpp"

#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <system_error>
#include <vector>

namespace sluice::bpf {
namespace {

thread_local LogCapture* capturing = nullptr;

int print(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG || !capturing) return 0;
  va_list again;
  va_copy(again, arguments);
  // clang-tidy 14 considers a parameter of type va_list uninitialized.
  const int length =
      std::vsnprintf(nullptr, 0, format, again);  // NOLINT(clang-analyzer-valist.Uninitialized)
  va_end(again);
  if (length <= 0) return 0;
  std::string message(static_cast<std::size_t>(length), '\0');
  std::vsnprintf(message.data(), message.size() + 1, format, arguments);
  capturing->append(message);
  return 0;
}

}  // namespace

LogCapture::LogCapture() : outer_(capturing) {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(print); });
  capturing = this;
}

LogCapture::~LogCapture() {
  capturing = outer_;
}

std::string telling_lines(std::string_view log) {
  constexpr std::size_t kLines = 6;
  std::vector<std::string_view> telling;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    std::string_view line = log.substr(0, end);
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    const bool noise = line.empty() || line.starts_with("processed ") ||
                       line.starts_with("verification time") || line.starts_with("stack depth") ||
                       line.starts_with("libbpf: failed to load object") ||
                       line.find("try raising 'ulimit -l'") != std::string_view::npos ||
                       line.find("PROG LOAD LOG --") != std::string_view::npos;
    if (noise) continue;
    if (line.starts_with("libbpf: ")) line.remove_prefix(8);
    telling.push_back(line);
  }
  std::string text;
  for (std::size_t i = telling.size() > kLines ? telling.size() - kLines : 0; i < telling.size(); ++i) {
    if (!text.empty()) text += " | ";
    text += telling[i];
  }
  return text;
}

Error make_error(std::string_view what, int os_error, const std::string& log) {
  Error error{std::string(what), os_error};
  if (os_error != 0) error.sentence += std::string(": ") + std::generic_category().message(os_error);
  if (const std::string lines = telling_lines(log); !lines.empty())
    error.sentence += " (libbpf: " + lines + ")";
  return error;
}

void append_programs(const bpf_object* object, std::vector<Program>& programs) {
  const bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(object, const_cast<bpf_program*>(program))) != nullptr) {
    bpf_prog_info info = {};
    std::uint32_t size = sizeof(info);
    if (bpf_program__fd(program) < 0 || bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0)
      continue;
    programs.push_back({bpf_program__name(program), info.verified_insns, info.xlated_prog_len});
  }
}

}  // namespace sluice::bpf
