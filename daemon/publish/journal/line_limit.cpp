#include "daemon/publish/journal/line_limit.hpp"

namespace sluice::publish {

namespace {
constexpr std::size_t kExampleBytes = 120;
}  // namespace

bool LineLimit::allow(const Key& key, std::uint32_t most, std::string_view line, MonotonicTime now) {
  auto known = windows_.find(key);
  if (known == windows_.end()) {
    if (windows_.size() >= kMaxKeys) return true;
    known = windows_.emplace(key, Window{.begun = now}).first;
  }
  auto& window = known->second;
  // A window that ended with omitted lines continues until it is collected, so that its count is not lost.
  if (now - window.begun >= kWindow && window.left_out == 0) window = Window{.begun = now};
  if (window.lines < most) {
    ++window.lines;
    return true;
  }
  ++window.left_out;
  if (window.example.empty()) window.example = line.substr(0, kExampleBytes);
  return false;
}

std::vector<LineLimit::LeftOut> LineLimit::ended(MonotonicTime now) {
  std::vector<LeftOut> left_out;
  if (now - swept_at_ < std::chrono::seconds(1)) return left_out;
  swept_at_ = now;
  for (auto window = windows_.begin(); window != windows_.end();) {
    if (now - window->second.begun < kWindow) {
      ++window;
      continue;
    }
    if (window->second.left_out > 0)
      left_out.push_back({window->first, window->second.left_out, std::move(window->second.example)});
    window = windows_.erase(window);
  }
  return left_out;
}

}  // namespace sluice::publish
