#include "tests/bench/oracle.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

namespace sluice::bench {
namespace {

constexpr double kGridSeconds = 0.1;
constexpr double kLongestSeconds = 60;
constexpr std::size_t kStates = 3;
constexpr std::array<double, kStates> kServed{0, 0.5, 1};  // share of what may be served by then

// Lengths of stretches in grid steps: every step up to a second, then coarser.
std::vector<std::size_t> stretch_lengths() {
  std::vector<std::size_t> out;
  for (double length = 1; length <= kLongestSeconds / kGridSeconds;
       length = std::max(length + 1, length * 1.15)) {
    out.push_back(static_cast<std::size_t>(length));
  }
  return out;
}

class Solver {
 public:
  Solver(const ArrivedWork& work, const OracleSpec& spec)
      : cell_s_(spec.deadline_s < 0.6 ? kGridSeconds / 4 : kGridSeconds / 2),
        per_grid_(static_cast<std::size_t>(std::lround(kGridSeconds / cell_s_))),
        spec_(spec) {
    gather(work);
    tabulate();
  }

  Schedule cheapest() {
    // Prices in core-seconds. A higher price gives fewer writes; the lowest price that keeps the rate is
    // wanted.
    double low = 1e-5;
    double high = 1e3;
    Schedule best = chain(high);
    for (int i = 0; i < 22 && high / low > 1.02; ++i) {
      const double price = std::sqrt(low * high);
      Schedule found = chain(price);
      if (found.writes_per_minute > spec_.writes_per_minute) {
        low = price;
      } else {
        high = price;
        best = std::move(found);
        if (best.writes_per_minute > 0.97 * spec_.writes_per_minute) break;
      }
    }
    return best;
  }

 private:
  void gather(const ArrivedWork& work) {
    const auto ratio = static_cast<std::size_t>(std::max(1L, std::lround(cell_s_ / work.cell_s)));
    grid_ = work.cpu_s.size() / ratio / per_grid_;
    const std::size_t n = grid_ * per_grid_;
    std::vector<double> total(n + 1, 0);
    for (std::size_t k = 0; k < n; ++k) {
      double sum = 0;
      for (std::size_t i = k * ratio; i < (k + 1) * ratio; ++i) sum += work.cpu_s[i];
      total[k + 1] = total[k] + sum;
    }
    // Due by the end of a cell: work of cells that started at least a deadline ago, and one cell more.
    const auto cells = static_cast<std::size_t>(std::floor(spec_.deadline_s / cell_s_ + 1e-9));
    due_.assign(n + 1, 0);
    arrived_.assign(n + 1, 0);
    double by_cap = 0;
    for (std::size_t k = 1; k <= n; ++k) {
      arrived_[k] = total[k - 1];
      by_cap = std::min(arrived_[k], by_cap + spec_.cap_cores * cell_s_);
      const std::size_t back = std::max<std::size_t>(cells, 2) - 1;
      due_[k] = std::min(k > back ? total[k - back] : 0, by_cap);
    }
  }

  double served(std::size_t cell, std::size_t state) const {
    return due_[cell] + kServed[state] * (arrived_[cell] - due_[cell]);
  }

  // The smallest quota (CPU-seconds per cell) for each stretch and pair of states.
  void tabulate() {
    const std::size_t n = grid_ * per_grid_;
    std::vector<double> inside(n + 1, 0);
    std::array<std::vector<double>, kStates> from;
    std::array<std::vector<double>, kStates> into;
    for (auto& v : from) v.assign(grid_ + 1, 0);
    for (auto& v : into) v.assign(grid_ + 1, 0);
    need_.assign(lengths_.size() * (grid_ + 1), {});
    std::size_t next = 0;
    const std::size_t longest = std::min(lengths_.back(), grid_) * per_grid_;
    for (std::size_t length = 1; length <= longest; ++length) {
      const double inverse = 1.0 / static_cast<double>(length);
      for (std::size_t i = 0; i + length <= n; ++i) {
        const double slope = (due_[i + length] - arrived_[i]) * inverse;
        inside[i] = std::max(std::max(inside[i], inside[i + 1]), slope);
      }
      for (std::size_t g = 0; g <= grid_; ++g) {
        const std::size_t cell = g * per_grid_;
        for (std::size_t s = 0; s < kStates; ++s) {
          if (cell + length <= n) {
            from[s][g] = std::max(from[s][g], (due_[cell + length] - served(cell, s)) * inverse);
          }
          if (cell >= length) {
            into[s][g] = std::max(into[s][g], (served(cell, s) - arrived_[cell - length]) * inverse);
          }
        }
      }
      if (length != lengths_[next] * per_grid_) continue;
      for (std::size_t end = lengths_[next]; end <= grid_; ++end) {
        const std::size_t begin = end - lengths_[next];
        auto& out = need_[end * lengths_.size() + next];
        for (std::size_t f = 0; f < kStates; ++f) {
          const double base = std::max(inside[begin * per_grid_], from[f][begin]);
          for (std::size_t t = 0; t < kStates; ++t) {
            const double direct = (served(end * per_grid_, t) - served(begin * per_grid_, f)) * inverse;
            const double least = std::max({base, into[t][end], direct, spec_.least_cores * cell_s_});
            const double cores = least / cell_s_;
            const bool possible = cores <= spec_.cap_cores * (1 + 1e-6);
            out[f * kStates + t] =
                possible ? static_cast<float>(cores) : std::numeric_limits<float>::infinity();
          }
        }
      }
      if (++next == lengths_.size()) break;
    }
  }

  Schedule chain(double price) {
    struct Best {
      double cost = std::numeric_limits<double>::infinity();
      float cores = 0;
      std::uint16_t length = 0;
      std::uint8_t from = 0;
    };
    std::vector<std::array<Best, kStates>> best(grid_ + 1);
    for (auto& state : best[0]) state.cost = 0;
    for (std::size_t end = 1; end <= grid_; ++end) {
      for (std::size_t l = 0; l < lengths_.size() && lengths_[l] <= end; ++l) {
        const auto& before = best[end - lengths_[l]];
        const auto& need = need_[end * lengths_.size() + l];
        const double seconds = static_cast<double>(lengths_[l]) * kGridSeconds;
        for (std::size_t f = 0; f < kStates; ++f) {
          const double start = before[f].cost + price;
          for (std::size_t t = 0; t < kStates; ++t) {
            const float cores = need[f * kStates + t];
            const double cost = start + static_cast<double>(cores) * seconds;
            if (cost >= best[end][t].cost) continue;
            best[end][t] = {.cost = cost,
                            .cores = cores,
                            .length = static_cast<std::uint16_t>(lengths_[l]),
                            .from = static_cast<std::uint8_t>(f)};
          }
        }
      }
    }
    Schedule out;
    std::size_t state = 0;
    for (std::size_t s = 1; s < kStates; ++s) {
      if (best[grid_][s].cost < best[grid_][state].cost) state = s;
    }
    for (std::size_t at = grid_; at > 0;) {
      const Best& b = best[at][state];
      at -= b.length;
      state = b.from;
      out.mean_cores += static_cast<double>(b.cores) * b.length;
      out.changes.push_back(
          {.at_s = static_cast<double>(at) * kGridSeconds, .cores = static_cast<double>(b.cores)});
    }
    std::reverse(out.changes.begin(), out.changes.end());
    const auto same = [](const Change& a, const Change& b) { return a.cores == b.cores; };
    out.changes.erase(std::unique(out.changes.begin(), out.changes.end(), same), out.changes.end());
    out.mean_cores /= static_cast<double>(grid_);
    out.writes_per_minute =
        static_cast<double>(out.changes.size()) / (static_cast<double>(grid_) * kGridSeconds / 60);
    return out;
  }

  double cell_s_;
  std::size_t per_grid_;
  OracleSpec spec_;
  std::size_t grid_ = 0;
  std::vector<double> arrived_;
  std::vector<double> due_;
  std::vector<std::size_t> lengths_ = stretch_lengths();
  std::vector<std::array<float, kStates * kStates>> need_;  // by end, then length
};

}  // namespace

Schedule oracle(const ArrivedWork& work, const OracleSpec& spec) {
  if (work.cpu_s.empty()) return {};
  return Solver(work, spec).cheapest();
}

}  // namespace sluice::bench
