#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "tests/demo/output.hpp"
#include "tests/demo/words.hpp"

namespace sluice::demo {
namespace {

constexpr std::size_t kKept = 40;  // adjustments
constexpr const char* kBold = "\x1b[1m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kRed = "\x1b[31;1m";
constexpr const char* kPlain = "\x1b[0m";

struct Size {
  std::size_t columns = 80, lines = 24;
};

Size terminal_size() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

// A curve of eight heights. Both curves of a task share one scale, so that they can be compared.
std::string curve(const std::deque<double>& values, std::size_t width, double top) {
  static constexpr std::array kHeights{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string out;
  const std::size_t from = values.size() > width ? values.size() - width : 0;
  for (std::size_t i = from; i < values.size(); ++i) {
    const double share = top > 0 ? std::clamp(values[i] / top, 0.0, 1.0) : 0;
    out += kHeights[static_cast<std::size_t>(std::lround(share * (kHeights.size() - 1)))];
  }
  return out;
}

// The alternate screen is redrawn from its top in one write: no flicker, and what was there before comes
// back.
class Screen : public Output {
 public:
  Screen() { put("\x1b[?1049h\x1b[?25l\x1b[2J"); }
  ~Screen() override { put("\x1b[?25h\x1b[?1049l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  bool adjusted(double at_s, const AdjustmentRow& row) override {
    last_.push_front(fmt::format("{:6.1f} s  {:<9}  {}", at_s, row.task, row.sentence));
    if (last_.size() > kKept) last_.pop_back();
    return true;
  }

  bool frame(const Frame& frame) override {
    size_ = terminal_size();
    used_ = 0;
    text_ = "\x1b[H";
    std::uint64_t late = 0;
    for (const auto& row : frame.rows) late += row.model.late;
    line(fmt::format(
             "Sluice governs a simulated host: {}. {:.0f} s, {} adjustments, {} records late. Ctrl-C ends.",
             frame.host, frame.at_s, frame.adjustments, late),
         kBold);
    line(fmt::format("{:.2f} of {:.0f} cores granted, sampling by {}{}", frame.governor.allocated_cores,
                     frame.governor.capacity_cores, frame.governor.sampling,
                     frame.governor.saturated ? ", the node is saturated" : ""),
         kDim);
    line("");
    line(fmt::format("{:<9} {:>9} {:>5} {:>7} {:>6} {:>8} {:>11} {:>6} {:>13}  {}", "task", "records/s",
                     "uses", "cpu.max", "waits", "memory", "memory.high", "stalls", "p99/limit ms", "why"),
         kBold);
    for (const auto& row : frame.rows) task(row);
    const bool curves = size_.lines >= used_ + 3 * frame.rows.size() + 5;
    if (curves) {
      for (const auto& row : frame.rows) draw_curves(row);
    }
    line("");
    line("Last adjustments", kBold);
    for (const auto& said : last_) {
      if (used_ + 2 >= size_.lines) break;
      line(said);
    }
    while (used_ + 1 < size_.lines) line("");
    text_ += cut(fmt::format("busctl --address={} tree org.sluice.Governor1", frame.address)) + "\x1b[K";
    return put(text_);
  }

 private:
  // All texts but the curves are ASCII: the daemon escapes what it publishes.
  std::string cut(const std::string& text) const {
    if (text.size() <= size_.columns) return text;
    return text.substr(0, size_.columns - 1) + "…";
  }
  void line(const std::string& text, const char* style = "") {
    if (used_ + 1 >= size_.lines) return;  // the last line is the footer's
    text_ += style + cut(text) + kPlain + "\x1b[K\r\n";
    ++used_;
  }

  void task(const Row& row) {
    const auto& m = row.model;
    const GovernedTask g = row.governed.value_or(GovernedTask{});
    const bool late = m.delay_p99_usec > m.deadline_usec;
    line(fmt::format("{:<9} {:>9.0f} {:>5.2f} {:>7} {:>6} {:>8} {:>11} {:>6} {:>7}/{:<5.0f}  {}", m.name,
                     m.load_per_s, m.usage_cores, cores_text(g.cpu_max_cores), percent_text(g.cpu_pressure),
                     bytes_text(g.memory_current), bytes_text(g.memory_high), percent_text(g.memory_pressure),
                     ms_text(m.delay_p99_usec), m.deadline_usec / 1e3,
                     row.governed ? row.why : "not governed"),
         late ? kRed : "");
  }

  void draw_curves(const Row& row) {
    const std::size_t width = size_.columns > 30 ? size_.columns - 30 : 0;
    double top = 0.1;
    for (const auto* history : {&row.usage_history, &row.cpu_max_history}) {
      for (const double value : *history) top = std::max(top, value);
    }
    line("");
    for (const auto& [label, history] :
         {std::pair("uses", &row.usage_history), std::pair("cpu.max", &row.cpu_max_history)}) {
      // Not through cut(): a block is one column and three bytes.
      text_ += fmt::format("{:<9} {:<8} {}\x1b[K\r\n", label[0] == 'u' ? row.model.name : "", label,
                           curve(*history, width, top));
      ++used_;
    }
  }

  Size size_;
  std::size_t used_ = 0;
  std::string text_;
  std::deque<std::string> last_;
};

}  // namespace

std::unique_ptr<Output> make_screen() {
  return std::make_unique<Screen>();
}

}  // namespace sluice::demo
