#include "daemon/publish/words/names.hpp"

#include <systemd/sd-bus.h>

#include <cstdlib>
#include <memory>

namespace sluice::publish {

std::string task_path(std::string_view name) {
  char* raw = nullptr;
  if (sd_bus_path_encode(kTaskPath, std::string(name).c_str(), &raw) < 0) return {};
  const std::unique_ptr<char, decltype(&std::free)> path(raw, &std::free);
  return path.get();
}

std::optional<std::string> task_of_path(const std::string& path) {
  char* raw = nullptr;
  if (sd_bus_path_decode(path.c_str(), kTaskPath, &raw) <= 0) return std::nullopt;
  const std::unique_ptr<char, decltype(&std::free)> name(raw, &std::free);
  return std::string(name.get());
}

}  // namespace sluice::publish
