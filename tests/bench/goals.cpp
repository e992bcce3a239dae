// The goals, next to the measured figures.
#include <fmt/format.h>

#include <cmath>

#include "tests/bench/summary.hpp"

namespace sluice::bench {
namespace {

constexpr double kDeadlines[] = {0.25, 1, 5};

struct Wanted {
  std::string_view visibility;
  double quota_60[3];
  double quota_20[3];
  double q10[3];        // at 60 writes a minute; 0: 10 % below the best peer
  double saving_60[3];  // core-weighted, compared with the best peer
  double quota_burst;   // with a burst, at the shortest deadline and 60 writes a minute; 0: no goal
};
constexpr Wanted kWanted[] = {
    {"kernel", {1.45, 1.18, 1.08}, {1.80, 1.40, 1.12}, {0, 0, 0}, {0.40, 0.45, 0.36}, 1.33},
    {"bytes", {1.35, 1.04, 1.01}, {1.65, 1.15, 1.02}, {2.2, 1.5, 1.25}, {0.45, 0.50, 0.40}, 1.25},
    {"lag", {1.35, 1.04, 1.01}, {1.65, 1.15, 1.02}, {2.2, 1.5, 1.25}, {0.45, 0.50, 0.40}, 0},
};
constexpr double kWorstAbovePeer = 1.05;
constexpr double kQ10AgainstPeer = 0.9;

void most(std::vector<Goal>& out, std::string what, double limit, double measured) {
  out.push_back(
      {std::move(what), fmt::format("<= {:.2f}", limit), fmt::format("{:.3f}", measured), measured <= limit});
}

void add_line(const Line& line, const Wanted& wanted, std::size_t d, std::vector<Goal>& out) {
  const bool many = line.budget == 60;
  const auto what = [&](std::string_view figure) {
    return fmt::format("{:<6} d = {:<4g} {} writes: {}", line.visibility, line.deadline_s, line.budget,
                       figure);
  };
  most(out, what("quota / usage"), many ? wanted.quota_60[d] : wanted.quota_20[d], line.quota);
  if (many && wanted.q10[d] > 0) most(out, what("q10 / usage"), wanted.q10[d], line.q10);
  out.push_back({what("late above the cap's own, each trace"), "<= 0.1 %",
                 fmt::format("{:.3f} %", 100 * line.worst_late), line.worst_late <= kLateAllowed});
  out.push_back({what("writes in the worst minute"), fmt::format("<= {}", line.budget),
                 fmt::format("{}", line.writes_worst_minute), line.writes_worst_minute <= line.budget});
  if (!line.against_peer) return;
  const auto& peer = *line.against_peer;
  if (many) {
    out.push_back({what("saving against the best peer, by cores"),
                   fmt::format(">= {:.0f} %", 100 * wanted.saving_60[d]),
                   fmt::format("{:.1f} %", 100 * peer.saving), peer.saving >= wanted.saving_60[d]});
    if (wanted.q10[d] == 0) most(out, what("q10 / best peer's"), kQ10AgainstPeer, peer.q10_ratio);
  }
  most(out, what("quota / best peer's, worst trace"), kWorstAbovePeer, peer.worst_ratio);
  most(out, what("q10 / best peer's, worst trace"), kWorstAbovePeer, peer.worst_q10_ratio);
}

void add_burst(const Line& line, const Wanted& wanted, std::vector<Goal>& out) {
  const auto what = [&](std::string_view figure) {
    return fmt::format("{:<6} d = {:<4g} {} writes, {}: {}", line.visibility, line.deadline_s, line.budget,
                       line.setting, figure);
  };
  most(out, what("quota / usage"), wanted.quota_burst, line.quota);
  out.push_back({what("late above the cap's own, each trace"), "<= 0.1 %",
                 fmt::format("{:.3f} %", 100 * line.worst_late), line.worst_late <= kLateAllowed});
}

}  // namespace

std::vector<Goal> goals(const std::vector<Line>& lines) {
  std::vector<Goal> out;
  for (const Wanted& wanted : kWanted) {
    for (const std::uint32_t budget : {60U, 20U}) {
      for (std::size_t d = 0; d < std::size(kDeadlines); ++d) {
        for (const Line& line : lines) {
          const bool same =
              line.policy == "ours" && line.visibility == wanted.visibility && line.budget == budget;
          if (!same || std::abs(line.deadline_s - kDeadlines[d]) >= 1e-9) continue;
          if (line.burst == 0) add_line(line, wanted, d, out);
          if (line.burst > 0 && budget == 60 && d == 0 && wanted.quota_burst > 0)
            add_burst(line, wanted, out);
        }
      }
    }
  }
  return out;
}

}  // namespace sluice::bench
