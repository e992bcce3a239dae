#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/bench/export.hpp"

namespace sluice::bench {
namespace {

constexpr double kLabelWidth = 190, kPanelWidth = 330, kGap = 30, kRow = 20, kTop = 74;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return out;
}

std::string name_of(const Line& l) {
  if (l.policy == "ours")
    return fmt::format("ours{}{}, {}, {}/min", l.setting.empty() ? "" : ", ", l.setting, l.visibility,
                       l.budget);
  if (l.policy == "oracle") return fmt::format("oracle, {}/min", l.budget);
  return l.setting == "best" ? l.policy + ", best setting" : l.policy + ", " + l.setting;
}

const char* colour_of(const Line& l) {
  if (l.policy == "ours") return "#2166ac";
  if (l.policy == "oracle") return "#4d9221";
  return l.setting == "published" ? "#bbbbbb" : "#888888";
}

}  // namespace

// Bars: quota over usage, geometric mean, on a logarithmic axis from 1. Tick: q10. Hatched: too late.
std::string to_svg(const std::vector<Line>& lines) {
  std::set<double> deadlines;
  std::vector<std::string> names;
  double most = 2;
  for (const Line& l : lines) {
    deadlines.insert(l.deadline_s);
    if (std::find(names.begin(), names.end(), name_of(l)) == names.end()) names.push_back(name_of(l));
    most = std::max({most, l.quota, l.q10});
  }
  const double octaves = std::ceil(std::log2(most));
  const auto x_of = [&](double ratio) {
    return std::clamp(std::log2(ratio) / octaves, 0.0, 1.0) * kPanelWidth;
  };
  const double height = kTop + kRow * static_cast<double>(names.size()) + 40;
  const double width = kLabelWidth + (kPanelWidth + kGap) * static_cast<double>(deadlines.size()) + 10;

  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
      "{1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<defs><pattern id=\"late\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
      "patternTransform=\"rotate(45)\"><rect width=\"3\" height=\"6\" fill=\"#d6604d\"/></pattern></defs>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"10\" y=\"22\" font-size=\"15\">CPU quota over usage, geometric mean of all traces</text>\n"
      "<text x=\"10\" y=\"40\" fill=\"#555\">bar: mean quota; black tick: q10, what neighbours must leave "
      "free; "
      "hatched: on some trace more than {2:g} % of records late above the cap's own</text>\n",
      width, height, 100 * kLateAllowed);
  double left = kLabelWidth;
  for (const double d : deadlines) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-weight=\"bold\">deadline {:g} s</text>\n", left,
                       kTop - 12, d);
    for (double octave = 0; octave <= octaves; ++octave) {
      const double x = left + x_of(std::exp2(octave));
      out += fmt::format(
          "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
          "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\" fill=\"#555\">{4:g}</text>\n",
          x, kTop - 4, height - 36, height - 20, std::exp2(octave));
    }
    for (const Line& l : lines) {
      if (l.deadline_s != d) continue;
      const auto row = std::find(names.begin(), names.end(), name_of(l)) - names.begin();
      const double y = kTop + kRow * static_cast<double>(row);
      const double bar = std::max(1.0, x_of(l.quota));
      const auto rect = [&](const char* fill) {
        return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>",
                           left, y + 3, bar, kRow - 6, fill);
      };
      out += rect(colour_of(l));
      if (l.worst_late > kLateAllowed) out += rect("url(#late)");
      const double tick = left + x_of(l.q10);
      out += fmt::format(
          "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"black\" "
          "stroke-width=\"2\"/><text x=\"{3:.1f}\" y=\"{4:.1f}\" font-size=\"10\">{5:.2f}</text>\n",
          tick, y + 2, y + kRow - 2, std::max(tick, left + bar) + 4, y + 14, l.quota);
    }
    left += kPanelWidth + kGap;
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLabelWidth - 6,
                       kTop + kRow * static_cast<double>(i) + 14, escaped(names[i]));
  }
  return out + "</svg>\n";
}

}  // namespace sluice::bench
