#include "daemon/limits/managed_limit.hpp"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

constexpr auto kReleaseRetryMin = std::chrono::seconds(1);
constexpr auto kReleaseRetryMax = std::chrono::minutes(1);

// A burst that is unknown on one side counts as equal.
bool same_burst(const std::optional<Usec>& a, const std::optional<Usec>& b) {
  return !a || !b || *a == *b;
}

bool same_limit(const KnobValue& a, const KnobValue& b) {
  const auto *x = std::get_if<CpuMax>(&a), *y = std::get_if<CpuMax>(&b);
  return x && y ? x->quota == y->quota && x->period == y->period : a == b;
}

bool same(const KnobValue& a, const KnobValue& b) {
  if (!same_limit(a, b)) return false;
  const auto *x = std::get_if<CpuMax>(&a), *y = std::get_if<CpuMax>(&b);
  return !x || !y || same_burst(x->burst, y->burst);
}

// If the source does not show the burst, the believed one stays.
KnobValue with_known_burst(KnobValue found, const KnobValue& believed) {
  auto* now = std::get_if<CpuMax>(&found);
  const auto* was = std::get_if<CpuMax>(&believed);
  if (now && was && !now->burst) now->burst = was->burst;
  return found;
}

using Values = std::vector<KnobValue>;

bool any(const Values& of, auto fits) {
  return std::any_of(of.begin(), of.end(), fits);
}

// Quota and period are two words, and cpu.max and cpu.max.burst two files. While a change is in progress a
// mixture of two values may be read.
bool mixes_limit(const KnobValue& found, const Values& of) {
  const auto* cpu = std::get_if<CpuMax>(&found);
  if (!cpu) return any(of, [&](const auto& v) { return v == found; });
  return any(of, [&](const auto& v) { return std::get<CpuMax>(v).quota == cpu->quota; }) &&
         any(of, [&](const auto& v) { return std::get<CpuMax>(v).period == cpu->period; });
}

bool mixes_burst(const KnobValue& found, const Values& of) {
  const auto* cpu = std::get_if<CpuMax>(&found);
  return !cpu || any(of, [&](const auto& v) { return same_burst(std::get<CpuMax>(v).burst, cpu->burst); });
}

bool is_mixture(const KnobValue& found, const Values& of) {
  return mixes_limit(found, of) && mixes_burst(found, of);
}

}  // namespace

ManagedLimit ManagedLimit::inherited(const KnobValue& baseline, std::vector<KnobValue> ours) {
  ManagedLimit limit;
  if (ours.empty()) return limit;
  limit.baseline_ = baseline;
  limit.held_ = ours.back();
  limit.origin_ = Origin::inherited;
  limit.ours_ = std::move(ours);
  limit.certain_ = false;
  return limit;
}

ManagedLimit::State ManagedLimit::state() const {
  if (!baseline_) return State::unread;
  if (order_) return State::ordered;
  return touched() ? State::held : State::untouched;
}

void ManagedLimit::set_ours(std::vector<KnobValue> ours) {
  if (ours == ours_) return;
  ours_ = std::move(ours);
  ++lease_revision_;
}

void ManagedLimit::set_baseline(const KnobValue& value) {
  if (baseline_ == value) return;
  baseline_ = value;
  ++lease_revision_;
}

void ManagedLimit::hold(const KnobValue& value, MonotonicTime at, Origin origin, const Reason& reason) {
  if (!(held_ == value)) changed_at_ = at;
  held_ = value;
  origin_ = origin;
  reason_ = reason;
  certain_ = true;
  undecided_.reset();
}

// Holds a value that was read and not confirmed by an order. If it is unchanged, its origin and reason stay.
void ManagedLimit::hold_unexplained(const KnobValue& found, MonotonicTime at) {
  if (same(found, held_)) return hold(found, at, origin_, Reason(reason_));
  if (!same(found, *baseline_)) return hold(found, at, Origin::inherited);
  // After an earlier process, it is unknown who restored the baseline.
  hold(found, at, origin_ == Origin::inherited ? Origin::found : Origin::reset);
}

Origin ManagedLimit::origin() const {
  return pretended_ ? Origin::pretended : origin_;
}

// If one certain value is held: equality with it. Otherwise any mixture of what our orders may have left, the
// baseline included.
bool ManagedLimit::is_ours(const KnobValue& found) const {
  if (certain_ && !order_ && ours_.size() == 1) return same(found, ours_.front());
  auto may_be = ours_;
  if (baseline_) may_be.push_back(*baseline_);
  return is_mixture(found, may_be);
}

// An external writer may reset cpu.max without the burst.
bool ManagedLimit::is_reset(const KnobValue& found) const {
  return same(found, *baseline_) || (same_limit(found, *baseline_) && !same_limit(found, held_));
}

// An external writer writes cpu.max or cpu.max.burst. The other file may still hold our value, which the
// writer did not choose; the baseline keeps its own there.
KnobValue ManagedLimit::external_part(const KnobValue& found) const {
  if (ours_.empty() || !std::holds_alternative<CpuMax>(found)) return found;
  auto wish = std::get<CpuMax>(found);
  const auto& baseline = std::get<CpuMax>(*baseline_);
  if (mixes_limit(found, ours_)) {
    wish.quota = baseline.quota;
    wish.period = baseline.period;
  }
  if (wish.burst && mixes_burst(found, ours_)) wish.burst = baseline.burst;
  if (wish.burst && wish.quota) wish.burst = std::min(*wish.burst, *wish.quota);
  return wish;
}

ManagedLimit::Change ManagedLimit::adopt_external(const KnobValue& found, MonotonicTime at) {
  const Change change{Event::external, held_, found};
  set_baseline(external_part(found));
  set_ours(same(*baseline_, found) ? std::vector<KnobValue>{} : std::vector{found});
  hold(found, at, Origin::external);
  pretended_.reset();
  external_since_ = at;
  return change;
}

void ManagedLimit::postpone_release(MonotonicTime now) {
  const auto wait = kReleaseRetryMin * (1 << std::min(refused_releases_, 6U));
  release_due_at_ = now + std::min<Nsec>(wait, kReleaseRetryMax);
  ++refused_releases_;
}

// Readings.

ManagedLimit::Change ManagedLimit::observe(const KnobReading& reading) {
  if (reading.file == KnobReading::File::unknown || reading.read_at < read_at_) return {};
  read_at_ = reading.read_at;
  if (reading.file == KnobReading::File::absent) {
    present_ = false;
    if (order_) return {};  // the receipt of the order in flight comes first
    origin_ = Origin::absent;
    if (!baseline_) return {};
    vanish();
    return {Event::vanished, held_, held_};
  }
  present_ = true;
  const auto found = with_known_burst(reading.value, held_);
  if (!baseline_) {
    set_baseline(found);
    hold(found, reading.read_at, Origin::found);
    changed_at_.reset();
    return {Event::adopted, found, found};
  }
  if (settled_at_ != MonotonicTime{} && reading.read_at <= settled_at_)
    return observe_stale(found, reading.read_at);
  if (order_) return observe_under_way(found, reading.read_at);
  if (!certain_) return observe_uncertain(found, reading.read_at);
  if (same(found, held_)) return {};
  if (!touched()) {
    const Change change{Event::moved, held_, found};
    set_baseline(found);
    hold(found, reading.read_at, Origin::external);
    pretended_.reset();
    return change;
  }
  if (!is_reset(found)) return adopt_external(found, reading.read_at);
  const Change change{Event::reset, held_, found};
  set_ours(same(found, *baseline_) ? std::vector<KnobValue>{} : std::vector{found});
  hold(found, reading.read_at, Origin::reset);
  return change;
}

// A reading from before the last receipt says nothing about now. But if none of our orders can have made its
// value, it was an external writer's, and the answered order has overwritten it. An external value that is
// newer than the reading stays the baseline.
ManagedLimit::Change ManagedLimit::observe_stale(const KnobValue& found, MonotonicTime read_at) {
  if (order_ || !certain_ || !touched() || read_at <= settled_before_) return {};
  if (external_since_ && read_at <= *external_since_) return {};
  if (mixes_limit(found, replaced_) || mixes_limit(found, {held_, *baseline_})) return {};
  set_baseline(external_part(found));
  external_since_ = read_at;
  return {Event::external, found, held_};
}

// A value that is neither old nor new is an external writer's. It becomes the baseline at once, even if our
// order overwrites it. Only the order's value can still come from us, also if the order is for the previous
// baseline.
ManagedLimit::Change ManagedLimit::observe_under_way(const KnobValue& found, MonotonicTime at) {
  if (is_ours(found)) return {};
  const Change change{Event::external, held_, found};
  set_baseline(external_part(found));
  std::vector<KnobValue> ours{order_->value};
  if (!same(*baseline_, found)) ours.push_back(found);  // a part of it is still ours
  set_ours(std::move(ours));
  order_->adds = true;
  hold(found, at, Origin::external);
  external_since_ = at;
  return change;
}

ManagedLimit::Change ManagedLimit::observe_uncertain(const KnobValue& found, MonotonicTime at) {
  const auto order = undecided_;
  if (!is_ours(found)) return adopt_external(found, at);
  const bool landed = order && same(found, order->value);
  const Change change{landed ? Event::landed : Event::none, held_, found};
  const bool back = same(found, *baseline_);
  set_ours(back ? std::vector<KnobValue>{} : std::vector{found});
  const bool released = back && order && order->reason.rule == Rule::released;
  if (landed) {
    const bool late = !released && order->reason.rule == Rule::released;  // another value is the baseline now
    hold(found, at,
         released ? Origin::released
         : late   ? Origin::inherited
                  : Origin::ours,
         late ? Reason{} : order->reason);
  } else {
    hold_unexplained(found, at);
  }
  if (!back) return change;
  refused_releases_ = 0;
  return {released ? Event::released : change.event, change.before, found};
}

// Orders and their receipts.

void ManagedLimit::send(const KnobValue& value, const Reason& reason, MonotonicTime now) {
  const bool release = reason.rule == Rule::released;  // the baseline is not a value of ours
  const bool adds = !release && std::find(ours_.begin(), ours_.end(), value) == ours_.end();
  order_ = LimitOrder{value, reason, now, false, adds};
  if (!adds) return;
  auto ours = ours_;
  ours.push_back(value);
  set_ours(std::move(ours));
}

ManagedLimit::Change ManagedLimit::answer(const Receipt& receipt) {
  if (!order_ || !(receipt.asked == order_->value)) return {Event::unexpected, held_, held_};
  if (receipt.may_land) {
    order_->overdue = true;
    return {Event::overdue, held_, held_};
  }
  const LimitOrder order = *order_;
  const bool was_uncertain = !certain_;
  order_.reset();
  if (receipt.result == Receipt::Result::vanished) {
    vanish();
    return {Event::vanished, held_, held_};
  }
  if (receipt.result == Receipt::Result::not_tried) {
    if (!present_) {
      vanish();
      return {Event::vanished, held_, held_};
    }
    auto ours = ours_;
    if (order.adds) std::erase(ours, order.value);
    set_ours(std::move(ours));
    if (order.reason.rule == Rule::released) postpone_release(receipt.finished_at);
    return {Event::not_tried, held_, held_};
  }
  settled_before_ = settled_at_;
  settled_at_ = std::max(settled_at_, receipt.finished_at);
  replaced_ = ours_;
  replaced_.push_back(*baseline_);
  if (receipt.holds) {
    certain_ = false;  // until settled: the previous value may still be in force
    const auto found = with_known_burst(*receipt.holds, order.value);
    return settle(order, found, receipt.result == Receipt::Result::written, receipt.finished_at);
  }
  if (!present_) {  // the controller was disabled during the write
    vanish();
    return {Event::vanished, held_, held_};
  }
  certain_ = false;
  if (!was_uncertain || !undecided_) undecided_ = order;
  if (order.reason.rule == Rule::released) postpone_release(receipt.finished_at);
  return {Event::undecided, held_, held_};
}

ManagedLimit::Change ManagedLimit::settle(const LimitOrder& order, const KnobValue& found, bool in_force,
                                          MonotonicTime at) {
  const bool release = order.reason.rule == Rule::released;
  Change change{Event::failed, held_, found};
  if (in_force || same(order.value, found)) {
    change.event = release ? Event::released : Event::confirmed;
    refused_releases_ = 0;
    release_due_at_ = {};
    if (release &&
        !same(found, *baseline_)) {  // an external writer wrote meanwhile; its value is the baseline
      set_ours({found});
      hold(found, at, Origin::inherited);
      change.event = Event::confirmed;
      return change;
    }
    set_ours(release ? std::vector<KnobValue>{} : std::vector{found});
    hold(found, at, release ? Origin::released : Origin::ours, order.reason);
    if (release) external_since_.reset();
    return change;
  }
  if (!is_ours(found)) return adopt_external(found, at);
  set_ours(same(found, *baseline_) ? std::vector<KnobValue>{} : std::vector{found});
  hold_unexplained(found, at);
  if (release && touched()) postpone_release(at);
  return change;
}

void ManagedLimit::vanish() {
  set_ours({});
  if (baseline_) ++lease_revision_;
  baseline_.reset();
  order_.reset();
  undecided_.reset();
  pretended_.reset();
  external_since_.reset();
  present_ = false;
  certain_ = true;
  refused_releases_ = 0;
  release_due_at_ = {};
  origin_ = Origin::absent;
  reason_ = {};
}

void ManagedLimit::pretend(const KnobValue& value, const Reason& reason, MonotonicTime now) {
  pretended_ = value;
  reason_ = reason;
  changed_at_ = now;
}

void ManagedLimit::forget_pretended() {
  if (!pretended_) return;
  pretended_.reset();
  reason_ = {};
  changed_at_.reset();
}

std::string_view to_string(ManagedLimit::State state) {
  switch (state) {
    case ManagedLimit::State::unread:
      return "unread";
    case ManagedLimit::State::untouched:
      return "untouched";
    case ManagedLimit::State::ordered:
      return "ordered";
    case ManagedLimit::State::held:
      return "held";
  }
  return "unknown";
}

}  // namespace sluice
