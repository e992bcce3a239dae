#include "tests/bench/signals/export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::bench_signals {

std::string to_json(const std::vector<Costs>& all) {
  std::string out = "{\n  \"costs\": [";
  for (const Costs& c : all)
    out += fmt::format(
        "{}\n    {{\"cgroups\": {}, \"walk_ns\": {:.0f}, \"open_read_ns\": {:.0f}, \"pread_ns\": {:.0f}, "
        "\"walk_ns_per_sample\": {:.1f}, \"open_read_ratio\": {:.3f}, \"pread_ratio\": {:.3f}}}",
        &c == all.data() ? "" : ",", c.cgroups, c.walk_ns, c.open_read_ns, c.pread_ns, c.per_sample_ns(),
        c.open_read_ratio(), c.pread_ratio());
  out += "\n  ],\n";
  if (all.size() > 1)
    out += fmt::format("  \"growth_exponent\": {:.4f},\n  \"steepest_exponent\": {:.4f},\n",
                       growth_exponent(all), steepest_exponent(all));
  out += "  \"goals\": [";
  const auto goals = goals_of(all);
  for (const Goal& goal : goals)
    out += fmt::format("{}\n    {{\"name\": \"{}\", \"measured\": {:.4f}, \"{}\": {:g}, \"met\": {}}}",
                       &goal == goals.data() ? "" : ",", goal.name, goal.measured,
                       goal.at_least ? "at_least" : "at_most", goal.wanted, goal.met());
  return out + "\n  ]\n}\n";
}

// Both axes are logarithmic. Costs are relative to the walk at the largest count, because absolute times of
// an emulator mean nothing.
std::string to_svg(const std::vector<Costs>& all) {
  constexpr double kLeft = 70, kTop = 60, kWidth = 560, kHeight = 320;
  struct Series {
    const char* name;
    const char* colour;
    double Costs::*total_ns;
  };
  constexpr Series kSeries[] = {{"open, read, close five files", "#b2182b", &Costs::open_read_ns},
                                {"pread five kept files", "#ef8a62", &Costs::pread_ns},
                                {"the iterator's walk", "#2166ac", &Costs::walk_ns}};
  const double unit_ns = all.back().per_sample_ns();
  const auto cost = [&](const Costs& c, const Series& s) {
    return c.*s.total_ns / static_cast<double>(c.cgroups) / unit_ns;
  };
  double least = 1, most = 10;
  for (const Costs& c : all)
    for (const Series& s : kSeries) {
      least = std::min(least, cost(c, s));
      most = std::max(most, cost(c, s));
    }
  const double x_from = std::log10(static_cast<double>(all.front().cgroups));
  const double x_span = std::max(0.1, std::log10(static_cast<double>(all.back().cgroups)) - x_from);
  const double y_from = std::floor(std::log10(least)), y_span = std::ceil(std::log10(most)) - y_from;
  const auto x_of = [&](const Costs& c) {
    return kLeft + (std::log10(static_cast<double>(c.cgroups)) - x_from) / x_span * kWidth;
  };
  const auto y_of = [&](double relative) {
    return kTop + kHeight - (std::log10(relative) - y_from) / y_span * kHeight;
  };

  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"880\" height=\"440\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{}\" y=\"24\" font-size=\"15\">Cost of one cgroup's sample, over the number of "
      "cgroups</text>\n"
      "<text x=\"{}\" y=\"42\" fill=\"#555\">relative to the walk of {}; one machine, the median of the "
      "rounds</text>\n",
      kLeft, kLeft, all.back().cgroups);
  for (double power = y_from; power <= y_from + y_span; ++power) {
    const double y = y_of(std::pow(10, power));
    out += fmt::format(
        "<line x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\" stroke=\"#ddd\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:g}</text>\n",
        kLeft, y, kLeft + kWidth, kLeft - 8, y + 4, std::pow(10, power));
  }
  for (const Costs& c : all)
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x_of(c),
                       kTop + kHeight + 20, c.cgroups);
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">cgroups</text>\n", kLeft + kWidth / 2,
                     kTop + kHeight + 40);
  for (const Series& s : kSeries) {
    std::string points, dots;
    for (const Costs& c : all) {
      points += fmt::format("{:.1f},{:.1f} ", x_of(c), y_of(cost(c, s)));
      dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>", x_of(c),
                          y_of(cost(c, s)), s.colour);
    }
    out += fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>{}\n"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\">{}</text>\n",
        points, s.colour, dots, kLeft + kWidth + 10, y_of(cost(all.back(), s)) + 4, s.colour, s.name);
  }
  return out + "</svg>\n";
}

}  // namespace sluice::bench_signals
