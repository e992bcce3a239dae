// A model of a knob in the kernel, with slow and refused writes, external writers, and killed processes:
// everything that a ManagedLimit must handle. The model knows the true state; the limit sees readings and
// receipts only.
//
// Our values have even quotas or byte counts, external ones odd, so every value shows who wrote it.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/limits/managed_limit.hpp"

namespace sluice::testing {

class KnobModel {
 public:
  enum class Op : std::uint8_t {
    order,
    release,
    complete,
    half_complete,
    refuse,
    overdue,
    answer,
    answer_unread,
    not_tried,
    external,
    external_quota_only,
    external_burst_only,
    read,
    read_later,
    deliver_reading,
    cannot_read,
    controller_off,
    controller_on,
    kill,
    count,
  };

  explicit KnobModel(Knob knob) : knob_(knob) { kernel_ = expected_ = external_value(); }

  void apply(Op op) {
    now_ += std::chrono::milliseconds(1);
    switch (op) {
      case Op::order:
        return send(ours_value(), Rule::cpu_surplus);
      case Op::release:
        if (limit.release_due(now_)) return send(*limit.baseline(), Rule::released);
        return;
      case Op::complete:
        if (write_ && exists_) land(write_->order.value);
        return;
      case Op::half_complete:
        return half_land();
      case Op::refuse:
        if (write_ && !write_->landed) write_->refused = true;
        return;
      case Op::overdue:
        return answer_overdue();
      case Op::answer:
        return answer(true);
      case Op::answer_unread:
        return answer(false);
      case Op::not_tried:
        return answer_not_tried();
      case Op::external:
        if (exists_) kernel_ = external_value();
        return;
      case Op::external_quota_only:
        if (exists_) kernel_ = with_burst_of(external_value(), kernel_);
        return;
      case Op::external_burst_only:
        if (exists_) kernel_ = with_burst_of(kernel_, external_value());
        return;
      case Op::read:
        return observe(reading());
      case Op::read_later:
        if (later_.size() < 2) later_.push_back({reading(), now_});
        return;
      case Op::deliver_reading:
        if (later_.empty()) return;
        observe(later_.front());
        later_.pop_front();
        return;
      case Op::cannot_read:
        return (void)limit.observe({KnobReading::File::unknown, {}, now_});
      case Op::controller_off:
        exists_ = false;
        if (write_) write_->refused = !write_->landed;
        return;
      case Op::controller_on:
        return controller_on();
      case Op::kill:
        return kill();
      case Op::count:
        return;
    }
  }

  // Returns what is wrong; empty: nothing. The lease contains what the limit reports, because it is on file
  // before an order is sent.
  std::string check() const {
    const bool known = limit.baseline().has_value();
    if (known && is_ours(*limit.baseline())) return "a value of ours became the baseline";
    if (!known && limit.touched()) return "it is touched without a baseline";
    if (!known && limit.in_flight()) return "an order went out without a baseline";
    const auto& ours = limit.ours();
    if (known && std::find(ours.begin(), ours.end(), *limit.baseline()) != ours.end())
      return "the baseline is taken for a value of ours";
    if (auto wrong = check_origin(); !wrong.empty()) return wrong;
    if (!limit.touched() && exists_ && (is_ours(kernel_) || burst_is_ours(kernel_)))
      return "the kernel holds a value of ours, and nobody will give the baseline back";
    return {};
  }

  // Checks the reported origin; the value itself shows who wrote it.
  std::string check_origin() const {
    const bool explained = limit.reason().rule != Rule::none;
    const bool ours = is_ours(limit.value()) || burst_is_ours(limit.value());
    switch (limit.origin()) {
      case Origin::ours:
        return !explained ? "a value of ours without a reason"
               : !ours    ? "an external value is called ours"
                          : "";
      case Origin::released:
        return !explained || is_ours(limit.value()) ? "a baseline that was not given back is called so" : "";
      case Origin::inherited:
        return explained ? "a reason is told for a value that nobody knows the reason of" : "";
      case Origin::found:
      case Origin::reset:
      case Origin::external:
        return explained                  ? "an old reason is told for an external value"
               : ours && !limit.touched() ? "a value of ours is called an external writer's"
                                          : "";
      case Origin::absent:
      case Origin::unread:
        return limit.baseline() ? "it has a baseline and is called unread" : "";
      case Origin::pretended:
        return "nothing was pretended";
    }
    return "";
  }

  // A regular stop: orders in flight are answered, then everything is released.
  std::string finish() {
    if (!exists_) controller_on();
    for (int i = 0; i < 12; ++i) {
      now_ += std::chrono::minutes(2);
      if (write_ && !write_->landed && !write_->refused && exists_) land(write_->order.value);
      answer(true);
      observe(reading());
      apply(Op::release);
    }
    if (limit.touched() || limit.in_flight()) return "something of ours is left at the end";
    if (!limit.baseline()) return "no baseline is known at the end";
    if (number(kernel_) != number(expected_))
      return "at the end it holds " + std::to_string(number(kernel_)) + ", and an external writer chose " +
             std::to_string(number(expected_)) + " last";
    if (!(kernel_ == *limit.baseline())) return "at the end it does not hold its baseline";
    return {};
  }

  ManagedLimit limit;

 private:
  struct Write {
    LimitOrder order;
    bool begun = false, landed = false, refused = false, overdue = false;
  };
  struct Later {
    KnobReading reading;
    MonotonicTime at;
  };

  std::int64_t next(bool ours) { return 2 * ++counter_ + (ours ? 0 : 1); }
  KnobValue value(std::int64_t n) const {
    if (knob_ == Knob::cpu_weight) return CpuWeight{static_cast<std::uint32_t>(n)};
    if (knob_ == Knob::memory_high) return MemoryLimit{static_cast<Bytes>(n) << 20};
    CpuMax v{Usec{n * 1000}, Usec{100'000}, Usec{n * 10}};
    return v;
  }
  KnobValue ours_value() { return value(next(true)); }
  KnobValue external_value() { return value(next(false)); }
  static std::int64_t number(const KnobValue& v) {
    if (const auto* m = std::get_if<MemoryLimit>(&v))
      return m->bytes ? static_cast<std::int64_t>(*m->bytes >> 20) : -1;
    if (const auto* w = std::get_if<CpuWeight>(&v)) return w->weight;
    const auto& q = std::get<CpuMax>(v).quota;
    return q ? q->count() / 1000 : -1;
  }
  static bool is_ours(const KnobValue& v) { return number(v) >= 0 && number(v) % 2 == 0; }
  static bool burst_is_ours(const KnobValue& v) {
    const auto* cpu = std::get_if<CpuMax>(&v);
    return cpu && cpu->burst && cpu->burst->count() / 10 % 2 == 0;
  }
  static KnobValue with_burst_of(KnobValue v, const KnobValue& other) {
    if (auto* cpu = std::get_if<CpuMax>(&v)) cpu->burst = std::get<CpuMax>(other).burst;
    return v;
  }

  void send(const KnobValue& v, Rule rule) {
    if (rule != Rule::released && !limit.may_send()) return;
    limit.send(v, Reason{.rule = rule}, now_);
    write_ = Write{*limit.order()};
  }
  void land(const KnobValue& v) {
    if (write_->refused) return;
    kernel_ = v;
    write_->landed = true;
  }
  // cpu.max is written, its burst not yet.
  void half_land() {
    if (!write_ || write_->landed || write_->refused || !exists_) return;
    kernel_ = with_burst_of(write_->order.value, kernel_);
    write_->begun = true;
  }
  Receipt receipt() const {
    Receipt r;
    r.knob = knob_;
    r.asked = write_->order.value;
    r.finished_at = now_;
    return r;
  }
  void answer_overdue() {
    if (!write_ || write_->overdue) return;
    write_->overdue = true;
    auto r = receipt();
    r.result = Receipt::Result::timed_out;
    r.may_land = true;
    limit.answer(r);
  }
  void answer(bool readable) {
    if (!write_ || (!write_->landed && !write_->refused)) return;
    auto r = receipt();
    const bool holds_it = exists_ && kernel_ == write_->order.value;
    r.result = !write_->landed ? Receipt::Result::refused
               : holds_it      ? Receipt::Result::written
                               : Receipt::Result::differs;
    if (!readable) r.result = Receipt::Result::refused;
    write_.reset();
    if (readable && exists_) {
      r.holds = kernel_;
      note_seen(kernel_);
    }
    limit.answer(r);
  }
  void answer_not_tried() {
    if (!write_ || write_->begun || write_->landed || write_->overdue) return;
    auto r = receipt();
    r.result = Receipt::Result::not_tried;
    write_.reset();
    limit.answer(r);
  }

  KnobReading reading() const {
    return {exists_ ? KnobReading::File::present : KnobReading::File::absent, kernel_, now_};
  }
  void observe(const KnobReading& r) {
    if (r.file == KnobReading::File::present) note_seen(r.value);
    limit.observe(r);
  }
  // A late reading: if a receipt came meanwhile and the value is old, it does not count.
  void observe(const Later& later) {
    const auto before = limit.baseline();
    limit.observe(later.reading);
    if (limit.baseline() != before && limit.baseline()) expected_ = *limit.baseline();
  }
  // External values increase. An older one can only be back because we released it, so it is no new value.
  void note_seen(const KnobValue& v) {
    if (!is_ours(v) && number(v) >= number(expected_)) expected_ = v;
  }
  void controller_on() {
    if (exists_) return;
    exists_ = true;
    kernel_ = external_value();
    later_.clear();
    write_ = std::nullopt;
    // The order in flight ended with the old file.
    if (const auto order = limit.order()) {
      Receipt r;
      r.knob = knob_;
      r.asked = order->value;
      r.finished_at = now_;
      r.result = Receipt::Result::refused;
      r.error_number = 19;
      r.holds = kernel_;
      note_seen(kernel_);
      limit.answer(r);
    }
  }
  // The write may have landed, completely or in part, or not at all. The next process knows the lease only.
  void kill() {
    if (write_ && !write_->landed && !write_->refused && exists_ && counter_ % 2 == 0)
      kernel_ = write_->order.value;
    write_.reset();
    later_.clear();
    limit = limit.touched() ? ManagedLimit::inherited(*limit.baseline(), limit.ours()) : ManagedLimit{};
    if (!exists_) limit = {};  // the first reading of the next process would show it
  }

  Knob knob_;
  KnobValue kernel_, expected_;  // expected_: the last external value that was seen
  bool exists_ = true;
  std::optional<Write> write_;
  std::deque<Later> later_;
  std::int64_t counter_ = 0;
  MonotonicTime now_{std::chrono::seconds(1000)};
};

inline std::ostream& operator<<(std::ostream& out, KnobModel::Op op) {
  constexpr std::string_view kNames[] = {"order",
                                         "release",
                                         "complete",
                                         "half_complete",
                                         "refuse",
                                         "overdue",
                                         "answer",
                                         "answer_unread",
                                         "not_tried",
                                         "external",
                                         "external_quota_only",
                                         "external_burst_only",
                                         "read",
                                         "read_later",
                                         "deliver_reading",
                                         "cannot_read",
                                         "controller_off",
                                         "controller_on",
                                         "kill"};
  return out << kNames[static_cast<std::size_t>(op)];
}

}  // namespace sluice::testing
