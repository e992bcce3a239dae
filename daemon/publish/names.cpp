#include "daemon/publish/names.hpp"

#include <fmt/format.h>
#include <systemd/sd-bus.h>

#include <cstdlib>
#include <memory>

namespace sluice::publish {

std::string c_escape(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    }
  }
  return out;
}

std::string task_path(std::string_view name) {
  char* raw = nullptr;
  if (sd_bus_path_encode(kTaskPath, std::string(name).c_str(), &raw) < 0) return {};
  const std::unique_ptr<char, decltype(&std::free)> path(raw, &std::free);
  return path.get();
}

}  // namespace sluice::publish
