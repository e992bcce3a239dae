#include <unistd.h>

#include <cerrno>

#include "tests/demo/output.hpp"
#include "tests/demo/words.hpp"

namespace sluice::demo {
namespace {

// A line per task and second, and one for each adjustment.
class Lines : public Output {
 public:
  bool adjusted(double at_s, const AdjustmentRow& row) override {
    return put(fmt::format("{:6.1f} s  {:<9}  -> {}\n", at_s, row.task, row.sentence));
  }

  bool frame(const Frame& frame) override {
    if (frame.at_s < next_s_) return true;
    next_s_ += 1;
    std::string text;
    for (const auto& row : frame.rows) {
      const auto& m = row.model;
      text += fmt::format("{:6.1f} s  {:<9}  {:5.0f} records/s  uses {:.2f}", frame.at_s, m.name,
                          m.load_per_s, m.usage_cores);
      if (const auto& g = row.governed; g) {
        text += fmt::format("  cpu.max {:>4}  waits {:>6}  memory {:>8} of {:>8}  stalls {:>6}",
                            cores_text(g->cpu_max_cores), percent_text(g->cpu_pressure),
                            bytes_text(g->memory_current), bytes_text(g->memory_high),
                            percent_text(g->memory_pressure));
      } else {
        text += "  not governed";
      }
      text += fmt::format("  p99 {:>4} of {:.0f} ms{}\n", ms_text(m.delay_p99_usec), m.deadline_usec / 1e3,
                          m.delay_p99_usec > m.deadline_usec ? "  LATE" : "");
    }
    return put(text);
  }

 private:
  double next_s_ = 0;
};

}  // namespace

bool put(const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const auto written = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    done += static_cast<std::size_t>(written);
  }
  return true;
}

std::unique_ptr<Output> make_lines() {
  return std::make_unique<Lines>();
}

}  // namespace sluice::demo
