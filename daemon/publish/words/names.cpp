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

}  // namespace sluice::publish
