#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/bench/hour/hour.hpp"

namespace sluice::bench {
namespace {

constexpr double kWidth = 860, kLeft = 56, kRight = 24, kTop = 76, kCores = 190, kBetween = 52, kWaits = 120,
                 kBottom = 40;
constexpr double kWaitMost = 1000, kWaitLeast = 0.01;  // seconds; range of the lower panel's axis
constexpr const char *kLoad = "#c9c9c9", *kPeak = "#777777", *kSame = "#d6604d", *kOurs = "#2166ac";

class Picture {
 public:
  explicit Picture(const Hour& hour) : hour_(hour) {
    const auto& peak = hour.peak.quota_cores;
    most_cores_ =
        1.1 * std::max(*std::max_element(peak.begin(), peak.end()),
                       *std::max_element(hour.ours.quota_cores.begin(), hour.ours.quota_cores.end()));
  }

  std::string draw() {
    const double height = kTop + kCores + kBetween + kWaits + kBottom;
    out_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 "
        "{0:.0f} {1:.0f}\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" "
        "fill=\"white\"/>\n",
        kWidth, height);
    text(kLeft, 20, fmt::format("CPU quota of one task, {:.0f} minutes of load", minutes()), "#000", 15);
    double at = kLeft;
    legend(at, kLoad, "load");
    legend(at, kPeak, named(hour_.peak));
    legend(at, kSame, named(hour_.same));
    legend(at, kOurs, named(hour_.ours));
    cores();
    waits();
    return out_ + "</svg>\n";
  }

 private:
  using Values = std::vector<double>;

  static std::string named(const HourRun& run) {
    return fmt::format("{}: {:.2f} cores, {} late", run.name, run.mean_quota_cores, percent(run.late_share));
  }
  static std::string percent(double share) {
    return share == 0 ? "none" : fmt::format("{:.2g} %", 100 * share);
  }
  double minutes() const { return static_cast<double>(hour_.load_cores.size() * kHourCell) / 60; }
  double x_of(std::size_t cell) const {
    return kLeft + (kWidth - kLeft - kRight) * static_cast<double>(cell) /
                       static_cast<double>(hour_.load_cores.size());
  }
  double y_of_cores(double cores) const { return kTop + kCores * (1 - std::min(1.0, cores / most_cores_)); }
  static double y_of_wait(double seconds) {
    const double share =
        std::log(std::clamp(seconds, kWaitLeast, kWaitMost) / kWaitLeast) / std::log(kWaitMost / kWaitLeast);
    return kTop + kCores + kBetween + kWaits * (1 - share);
  }

  void text(double x, double y, const std::string& words, const char* colour, int size = 12,
            const char* anchor = "start") {
    out_ += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\" font-size=\"{}\" text-anchor=\"{}\">{}</text>\n", x, y,
        colour, size, anchor, words);
  }
  void legend(double& x, const char* colour, const std::string& words) {
    out_ += fmt::format("<rect x=\"{:.1f}\" y=\"33\" width=\"12\" height=\"12\" fill=\"{}\"/>\n", x, colour);
    text(x + 16, 43, words, "#222", 11);
    x += 32 + 5.5 * static_cast<double>(words.size());
  }
  // A grid line with its value.
  void mark(double y, const std::string& words) {
    out_ +=
        fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#e5e5e5\"/>\n",
                    kLeft, y, kWidth - kRight, y);
    text(kLeft - 6, y + 4, words, "#555", 11, "end");
  }
  template <class Y>
  void line(const Values& values, const char* colour, double width, Y y_of) {
    out_ += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" points=\"", colour, width);
    for (std::size_t i = 0; i < values.size(); ++i)
      out_ += fmt::format("{:.1f},{:.1f} ", x_of(i), y_of(values[i]));
    out_ += "\"/>\n";
  }

  void cores() {
    for (double c = 0; c <= most_cores_; c += 1) mark(y_of_cores(c), fmt::format("{:g}", c));
    text(kLeft, kTop - 5, "cores", "#555", 11);
    out_ += fmt::format("<polygon fill=\"{}\" points=\"{:.1f},{:.1f} ", kLoad, x_of(0), y_of_cores(0));
    for (std::size_t i = 0; i < hour_.load_cores.size(); ++i)
      out_ += fmt::format("{:.1f},{:.1f} ", x_of(i), y_of_cores(hour_.load_cores[i]));
    out_ += fmt::format("{:.1f},{:.1f}\"/>\n", x_of(hour_.load_cores.size() - 1), y_of_cores(0));
    const auto y = [this](double cores) { return y_of_cores(cores); };
    line(hour_.peak.quota_cores, kPeak, 1.5, y);
    line(hour_.same.quota_cores, kSame, 1.5, y);
    line(hour_.ours.quota_cores, kOurs, 1.5, y);
  }

  void waits() {
    text(
        kLeft, kTop + kCores + kBetween - 8,
        fmt::format("seconds that the oldest record has waited; dashed: the deadline, {:g} s", kHourDeadline),
        "#555", 11);
    for (double s = kWaitLeast; s <= kWaitMost; s *= 10) mark(y_of_wait(s), fmt::format("{:g}", s));
    const double deadline = y_of_wait(kHourDeadline);
    line(hour_.same.waited_s, kSame, 1.2, y_of_wait);
    line(hour_.ours.waited_s, kOurs, 1.2, y_of_wait);
    out_ += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"black\" "
        "stroke-dasharray=\"5,4\"/>\n",
        kLeft, deadline, kWidth - kRight, deadline);
    for (double m = 0; m <= minutes() + 0.01; m += 10)
      text(x_of(static_cast<std::size_t>(m * 60 / kHourCell)), kTop + kCores + kBetween + kWaits + 18,
           fmt::format("{:g} min", m), "#555", 11, "middle");
  }

  const Hour& hour_;
  double most_cores_ = 1;
  std::string out_;
};

}  // namespace

std::string to_svg(const Hour& hour) {
  return Picture(hour).draw();
}

}  // namespace sluice::bench
