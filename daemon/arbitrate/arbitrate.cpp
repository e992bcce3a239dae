#include "daemon/arbitrate/arbitrate.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "daemon/arbitrate/max_min.hpp"

namespace sluice {
namespace {

constexpr double kEpsilon = 1e-9;
constexpr double kRounding = 1e-3;     // ratio; quotas are whole microseconds
constexpr double kUsesNothing = 0.01;  // cores; a task that uses less gets no share

bool less(double a, double b) {
  return a < b * (1 - kEpsilon);
}

double whole_steps_down(double value, double step) {
  return step > 0 ? std::floor(value / step + kEpsilon) * step : value;
}

// What arbitration wants to reach for one claim.
struct Goal {
  bool shares = false;     // false: its limit stays as it is
  bool counts = false;     // counts in full: its limit is ours, or will be
  double keep = 0;         // the value if the node has enough for everybody
  double need = 0;         // granted before any task gets more than it needs
  double lacks_below = 0;  // part of `need` that counts as missing if not granted; rate policies are no need
  double used = 0;         // the part of its minimum that is in use
  double before_rate_limit = 0;  // `keep` without its rate policy
  bool held_below = false;       // an ancestor's limit allows no more
  Reason reason;                 // rule none: no change was asked for
};

Goal stands(const KnobClaim& c) {
  Goal g;
  g.keep = g.need = g.before_rate_limit = g.lacks_below = c.current;
  return g;
}

bool out_of_bounds(const KnobClaim& c) {
  if (std::isinf(c.current)) return c.max_is_set;
  return c.current < c.min || c.current > c.max;
}

// No change was asked for and none is due: the task keeps its limit, or what it uses of it.
Goal goal_of_use(const KnobClaim& c) {
  // its first limit is held up by a rate policy
  const bool held_up = std::isinf(c.current) && std::isinf(c.rate.lowest);
  if (!c.use || held_up) return stands(c);
  Goal g = stands(c);
  g.shares = true;
  g.counts = c.ours;
  const double use = config::whole_steps_up(*c.use, c.step);
  g.lacks_below = std::min(c.current, std::max(use, c.ours ? c.min : 0));
  g.need = std::min(c.current, std::max(g.lacks_below, c.ours ? c.rate.lowest : 0));
  g.used = std::min(use, c.min);
  return g;
}

// What the task gets if the node has enough for everybody.
Goal goal_of(const KnobClaim& c) {
  if (!c.movable) return stands(c);
  if (c.exact) {
    Goal g{.shares = true, .counts = true, .reason = c.intent.reason};
    g.keep = g.need = g.lacks_below = g.used = g.before_rate_limit = c.intent.value;
    return g;
  }
  const bool asks = c.intent.changes();
  if (!asks && !out_of_bounds(c)) return goal_of_use(c);

  Goal g{.shares = true, .counts = true, .reason = c.intent.reason};
  const double wish = asks ? c.intent.value : c.current;
  const double stepped = config::whole_steps_up(wish, c.step);
  const double bounded = std::clamp(stepped, c.min, c.max);
  g.reason.clamped_min = bounded > stepped;
  g.reason.clamped_max = bounded < std::min(stepped, wish);
  g.reason.clamped_step = !g.reason.clamped_min && bounded > wish * (1 + kEpsilon);
  if (!asks) {
    const bool by_schedule =
        (g.reason.clamped_min && c.min_scheduled) || (g.reason.clamped_max && c.max_scheduled);
    g.reason.rule = by_schedule ? Rule::schedule : Rule::bound;
    g.reason.wanted = c.current;
  }
  const double rate_limited = c.rate_free ? bounded : std::clamp(bounded, c.rate.lowest, c.rate.highest);
  // A first limit may be held up by a rate policy, but a value outside the bounds may not.
  if (std::isinf(rate_limited) && !c.max_is_set) return stands(c);
  g.keep = std::clamp(rate_limited, c.min, c.max);
  g.before_rate_limit = bounded;
  g.reason.clamped_rate = std::abs(g.keep - bounded) > kEpsilon * bounded;
  const bool to_maximum = !asks && g.keep < c.current;
  if (to_maximum && !c.use && c.bound_waits) return stands(c);
  g.need = g.lacks_below = g.keep;
  if (to_maximum && c.use) {
    // A limit that comes from "no limit" has no rate.
    const double kept = std::isinf(c.current) ? 0 : c.rate.lowest;
    g.lacks_below = std::clamp(config::whole_steps_up(*c.use, c.step), c.min, g.keep);
    g.need = std::clamp(kept, g.lacks_below, g.keep);
  }
  g.used = std::min({c.min, g.need, asks ? c.min : c.use.value_or(c.min)});
  return g;
}

// What a task keeps whatever the others want: its minimum, its current limit if there is no usage data, and
// the lower bound of its rate policy.
double minimum(const KnobClaim& c, const Goal& g) {
  if (c.exact) return g.need;
  const bool unseen = !c.use && g.keep >= c.current;
  return std::min(unseen ? std::max(c.min, c.current) : c.min, g.need);
}
double rate_limited(const KnobClaim& c, const Goal& g) {
  return std::max(minimum(c, g), std::min(std::clamp(c.rate.lowest, c.min, c.max), g.need));
}

// One knob of all tasks of the node.
class Node {
 public:
  Node(std::span<const KnobClaim> claims, double capacity, Knob knob)
      : claims_(claims), capacity_(capacity), goals_(claims.size()), value_(claims.size()) {
    FairShare fair(capacity, knob);
    for (const auto& c : claims) fair.add(c);
    sharing_.reserve(claims.size());
    for (std::size_t i = 0; i < claims.size(); ++i) {
      goals_[i] = goal_of(claims[i]);
      value_[i] = claims[i].current;
      if (goals_[i].shares) sharing_.push_back(i);
    }
    hold_below_ancestors();
    double used_by_others = 0, least = 0, guaranteed = 0;
    for (std::size_t i = 0; i < claims.size(); ++i) {
      if (claims[i].governed) guaranteed += claims[i].min;
      if (goals_[i].shares) {
        least += minimum(claims[i], goals_[i]);
        continue;
      }
      const Taken taken = fair.taken(claims[i]);
      promised_ += taken.quota;
      used_by_others += taken.use;
      if (claims[i].governed && taken.quota == 0) minima_in_use_ += std::min(claims[i].min, taken.use);
    }
    room_ = std::max(0.0, capacity - promised_);
    // Minima are granted even if other tasks use more than theirs.
    needs_room_ = std::max(capacity - used_by_others, std::min(least, std::max(0.0, room_ - minima_in_use_)));
    minima_missing_ = guaranteed > capacity * (1 + kEpsilon) ? guaranteed - capacity : 0;
  }

  Share share() {
    Share out;
    out.minima_exceed = minima_missing_ > 0;
    give();
    out.unmet.resize(claims_.size());
    for (const auto i : sharing_) mark(i, out);
    out.missing = std::max(out.missing, minima_missing_);
    settle(true, out);
    // Cuts within the tolerance add up. If the node would be overdrawn without them, they are written too.
    if (overdrawn_) settle(false, out);
    return out;
  }

 private:
  void hold_below_ancestors();
  std::vector<double> in_steps(std::span<const Claim> sums, double capacity);
  std::vector<double> shared_minima();
  void give();
  void mark(std::size_t i, Share& out);
  [[nodiscard]] bool changed(std::size_t i) const;
  [[nodiscard]] bool tolerable(std::size_t i) const;
  [[nodiscard]] bool cut_beyond_rate(std::size_t i) const;
  void settle(bool keep_small_cuts, Share& out);

  std::span<const KnobClaim> claims_;
  double capacity_;
  std::vector<Goal> goals_;
  std::vector<double> value_;         // by claim
  std::vector<std::size_t> sharing_;  // indexes of the claims that share
  double promised_ = 0;               // sum of our limits that stay as they are
  double room_ = 0;                   // capacity for our other limits
  double needs_room_ = 0;             // capacity for what is used and needed
  double minima_missing_ = 0;
  double minima_in_use_ = 0;  // by claims whose limit stays
  bool overdrawn_ = false;
};

// Each child needs at most its share of its ancestor's limit. No child is cut for this: the kernel enforces
// the ancestor's limit.
void Node::hold_below_ancestors() {
  std::map<std::string_view, std::vector<std::size_t>> families;
  for (const auto i : sharing_) {
    if (!claims_[i].ancestor.empty()) families[claims_[i].ancestor].push_back(i);
  }
  for (const auto& [path, children] : families) {
    std::vector<Claim> sums;
    for (const auto i : children)
      sums.push_back(
          {minimum(claims_[i], goals_[i]), goals_[i].need, claims_[i].weight, claims_[i].priority});
    const auto given = max_min_share(sums, claims_[children.front()].ancestor_max);
    for (std::size_t k = 0; k < children.size(); ++k) {
      const auto& c = claims_[children[k]];
      Goal& g = goals_[children[k]];
      const double most = std::max(given[k], std::min(g.need, c.current));
      if (c.exact || !less(most, g.need)) continue;
      g.need = most;
      g.lacks_below = std::min(g.lacks_below, most);
      if (!c.intent.changes()) continue;
      g.keep = g.before_rate_limit = most;
      g.reason.clamped_max = g.held_below = true;
    }
  }
}

// Shares the capacity and rounds down to whole steps. What that leaves is given out step by step, by
// priority, and first to tasks that hold the step already: otherwise a small change of a share would move a
// whole step to and fro.
std::vector<double> Node::in_steps(std::span<const Claim> sums, double capacity) {
  auto given = max_min_share(sums, capacity);
  std::vector<std::size_t> cut;
  double left = capacity;
  for (std::size_t k = 0; k < sums.size(); ++k) {
    const double step = claims_[sharing_[k]].step;
    if (less(given[k], sums[k].wanted))
      given[k] = std::max(whole_steps_down(given[k], step), sums[k].guaranteed);
    left -= given[k];
    if (step > 0 && less(given[k], sums[k].wanted)) cut.push_back(k);
  }
  if (cut.empty()) return given;
  const auto next = [&](std::size_t k) {
    const double step = claims_[sharing_[k]].step;
    return std::min(whole_steps_down(given[k], step) + step, sums[k].wanted);
  };
  const auto rank = [&](std::size_t k) {
    const auto& c = claims_[sharing_[k]];
    return std::tuple(-c.priority, less(c.current, next(k)), c.id);
  };
  std::sort(cut.begin(), cut.end(), [&](auto a, auto b) { return rank(a) < rank(b); });
  for (const auto k : cut) {
    const double more = next(k) - given[k];
    if (more > left * (1 + kEpsilon)) continue;
    given[k] += more;
    left -= more;
  }
  std::vector<Claim> again(sums.begin(), sums.end());
  for (std::size_t k = 0; k < again.size(); ++k) {
    if (claims_[sharing_[k]].step > 0) again[k].guaranteed = again[k].wanted = given[k];
  }
  return max_min_share(again, capacity);
}

// The minima of a node that is too small for them, by weight alone. The parts in use come first.
std::vector<double> Node::shared_minima() {
  const double room = std::max(0.0, room_ - minima_in_use_);
  std::vector<Claim> sums;
  for (const auto i : sharing_) {
    const auto& c = claims_[i];
    sums.push_back({c.floor, std::max(c.floor, std::min(c.min, goals_[i].used)), c.weight, 0});
  }
  auto given = max_min_share(sums, room);
  for (std::size_t k = 0; k < sums.size(); ++k) {
    const auto& c = claims_[sharing_[k]];
    const double whole = goals_[sharing_[k]].counts ? c.min : 0;
    sums[k] = {given[k], std::max(given[k], whole), c.weight, 0};
  }
  given = max_min_share(sums, room);
  for (std::size_t k = 0; k < sums.size(); ++k) {
    if (claims_[sharing_[k]].exact) given[k] = goals_[sharing_[k]].need;
  }
  return given;
}

// Grants what is needed, and then returns what nobody needs to its holders. If minima or rate policies take
// the whole node, no task is raised.
void Node::give() {
  std::vector<Claim> sums(sharing_.size());
  double kept = 0;
  for (const auto i : sharing_) kept += rate_limited(claims_[i], goals_[i]);
  const bool keep_rates = kept <= needs_room_ * (1 + kEpsilon);
  const auto minima = minima_missing_ > 0 ? shared_minima() : std::vector<double>{};
  for (std::size_t k = 0; k < sums.size(); ++k) {
    const auto& c = claims_[sharing_[k]];
    const auto& g = goals_[sharing_[k]];
    sums[k] = {minimum(c, g), g.need, c.weight, c.priority};
    if (!minima.empty()) {
      sums[k].guaranteed = minima[k];
      sums[k].wanted = std::max(minima[k], g.need);
    } else if (keep_rates) {
      sums[k].guaranteed = rate_limited(c, g);
    } else {
      sums[k].wanted = rate_limited(c, g);
    }
  }
  auto given = in_steps(sums, needs_room_);
  if (keep_rates && minima.empty()) {
    for (std::size_t k = 0; k < sums.size(); ++k) {
      const auto& g = goals_[sharing_[k]];
      sums[k].guaranteed = given[k];
      sums[k].wanted = g.counts && !less(given[k], g.need) ? std::max(given[k], g.keep) : given[k];
      if (!g.counts && !less(given[k], g.need)) sums[k].guaranteed = sums[k].wanted = 0;  // keeps its limit
    }
    const auto kept_too = in_steps(sums, std::max(room_, needs_room_));
    for (std::size_t k = 0; k < sums.size(); ++k) given[k] = std::max(given[k], kept_too[k]);
  }
  for (std::size_t k = 0; k < sharing_.size(); ++k) {
    const auto i = sharing_[k];
    if (goals_[i].counts || less(given[k], goals_[i].need)) value_[i] = given[k];
  }
}

void Node::mark(std::size_t i, Share& out) {
  const auto& c = claims_[i];
  Goal& g = goals_[i];
  const bool is_short = less(value_[i], g.need);
  out.unmet[i] = (is_short || g.held_below) && c.intent.changes() && !c.exact;
  if (is_short) {
    out.missing += std::max(0.0, g.lacks_below - value_[i]);
    g.reason.clamped_step &= value_[i] > g.reason.wanted;
    if (!c.intent.changes()) g.reason.wanted = g.need;
  }
  if (!is_short && !less(value_[i], g.keep)) return;
  g.reason.clamped_capacity = true;
  if (g.reason.rule == Rule::none || less(value_[i], c.current)) g.reason.rule = Rule::capacity;
}

bool Node::changed(std::size_t i) const {
  const double current = claims_[i].current;
  if (!goals_[i].shares || goals_[i].reason.rule == Rule::none) return false;
  if (std::isinf(current)) return !std::isinf(value_[i]);
  return std::abs(value_[i] - current) > kEpsilon * current;
}

bool Node::tolerable(std::size_t i) const {
  const auto& c = claims_[i];
  if (c.exact || std::isinf(c.current)) return false;
  // A value outside the bounds is always corrected; the memory floor is one of the bounds.
  if ((c.current < c.min && !less(value_[i], c.min)) || c.current > c.max) return false;
  // A slow rate policy makes small changes. The tolerance applies to the distance that the task finally goes.
  const bool slow = goals_[i].reason.clamped_rate && !goals_[i].reason.clamped_capacity;
  const double to = slow ? goals_[i].before_rate_limit : value_[i];
  return std::abs(to - c.current) < c.tolerance * c.current;
}

// Happens only on a node that is too small for the rate policies.
bool Node::cut_beyond_rate(std::size_t i) const {
  const auto& c = claims_[i];
  return !c.exact && less(value_[i], c.current) && less(value_[i], std::min(c.rate.lowest, c.current));
}

void Node::settle(bool keep_small_cuts, Share& out) {
  out.grants.clear();
  double quotas = 0, used = 0;
  for (const auto i : sharing_) {
    const auto& c = claims_[i];
    const bool may_stay = tolerable(i) || (cut_beyond_rate(i) && !less(c.max, c.current * (1 - kRounding)));
    const bool write = changed(i) && !(may_stay && (keep_small_cuts || value_[i] > c.current));
    if (write) out.grants.push_back({i, value_[i], goals_[i].reason});
    const double after = write ? value_[i] : c.current;
    if (write || c.ours) quotas += after;  // finite, as all our limits are
    used += write && after > c.current ? after : std::min(after, c.use.value_or(after));
  }
  overdrawn_ = quotas > room_ * (1 + kEpsilon) || used > needs_room_ * (1 + kEpsilon);
  out.allocated = std::max(quotas + promised_, used + capacity_ - std::min(needs_room_, capacity_));
}

}  // namespace

void FairShare::add(const KnobClaim& c) {
  if (c.use.value_or(0) > kUsesNothing) weights_ += c.weight;
}

Taken FairShare::taken(const KnobClaim& c) const {
  if (c.by_weight) return {0, std::min({c.current, c.use.value_or(0), capacity_})};
  if (c.ordered) return {*c.ordered, std::max(*c.ordered, std::min(c.current, c.use.value_or(c.current)))};
  // "No limit" says nothing of what its task uses.
  const bool is_limited = c.ours && !std::isinf(c.current);
  const double unseen = is_limited ? c.current : c.governed ? c.min : 0;
  double use = std::min({c.current, c.use.value_or(unseen), capacity_});
  if (c.movable) return {c.ours ? std::min(c.current, capacity_) : 0, use};
  if (!c.ours && limited_ && weights_ > 0)
    use = std::min(use, std::max(c.min, capacity_ * c.weight / weights_));
  return {0, use};
}

Share arbitrate(std::span<const KnobClaim> claims, double capacity, Knob knob) {
  return Node(claims, capacity, knob).share();
}

}  // namespace sluice
