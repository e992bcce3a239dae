// The life of one limit: one knob of one governed cgroup, from the first value that was read to the baseline
// given back. Pure; values only. It is the only owner of what is known about the knob:
//
//   baseline   what the knob held before our first order, or what an external writer chose since
//   ours       the values of ours that the kernel may hold now. Empty: it holds nothing of ours
//   held       what the kernel is believed to hold
//   order      the one that was sent and may still land
//
// Properties, each the name of a test:
//   - A baseline is never a value of ours. It is adopted from what was read before our first order, or later
//   from a
//     value that none of our orders can have made.
//   - Nothing is sent without a baseline, and nothing while an earlier order may still land.
//   - A late success is a success: a value that equals an order of ours is ours, whenever it lands.
//   - It is untouched again only when the kernel was seen to hold the baseline or an external writer's value,
//   or when
//     the file or the cgroup is gone. A refused release is due again, with a growing wait, for ever.
//   - An unknown reading changes nothing.
//   - A reason is shown only for a value that an order of ours made, or that dry-run would hold: what an
//   external
//     writer chose, what was found and what was inherited has none.
//
// README.md draws the states. Nothing else may move them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "cgroups/types.hpp"
#include "daemon/arbitrate/plan.hpp"
#include "daemon/values/knob_story.hpp"

namespace sluice {

// An order as it was sent. A release's value is the baseline.
struct LimitOrder {
  KnobValue value;
  Reason reason;
  MonotonicTime sent_at{};
  bool overdue = false;  // its deadline passed and its write has not returned: it may still land
  bool adds = false;     // its value was not among ours before
  bool operator==(const LimitOrder&) const = default;
};

// What one reading of the knob's file gave.
struct KnobReading {
  enum class File : std::uint8_t {
    unknown,  // it could not be read this time
    absent,   // the controller is off: there is no such file
    present,  // `value` is what it held
  };
  File file = File::unknown;
  KnobValue value;
  MonotonicTime read_at{};
};

class ManagedLimit {
 public:
  enum class State : std::uint8_t {
    unread,     // no baseline yet: nothing may be sent
    untouched,  // the kernel holds the baseline
    ordered,    // an order of ours may still land
    held,       // the kernel holds a value of ours, or one of several, and no order is under way
  };

  // What a transition showed. The driver reports it, and yields or orders again.
  enum class Event : std::uint8_t {
    none,
    adopted,     // the first baseline
    moved,       // untouched, and another value is there now: it is the baseline from here on
    landed,      // an order whose fate was unknown turned out to be in force
    reset,       // the baseline is back, and not by us: systemd's reload does that
    external,    // an external writer's value is there: it is the baseline from here on, and nothing is ours
    confirmed,   // the order of this receipt is in force
    released,    // the baseline is back, by us
    failed,      // the order of this receipt is not in force
    overdue,     // it missed its deadline and may still land
    not_tried,   // the order of this receipt went nowhere: what was held is held
    undecided,   // the write returned and what it left could not be read: the next reading tells
    vanished,    // the file or the cgroup is gone, and the limit with it
    unexpected,  // a receipt for no order of this limit
  };
  struct Change {
    Event event = Event::none;
    KnobValue before, after;  // what was believed to be held
  };

  ManagedLimit() = default;
  // What a lease says an earlier process left: `ours` may be in force.
  static ManagedLimit inherited(const KnobValue& baseline, std::vector<KnobValue> ours);

  // ---- transitions
  Change observe(const KnobReading& reading);
  // Before: may_send(). A release is an order for the baseline.
  void send(const KnobValue& value, const Reason& reason, MonotonicTime now);
  Change answer(const Receipt& receipt);
  // The cgroup is gone: nothing is left to give back.
  void vanish();
  // Dry-run: what would be held. Given back by forget_pretended() and by every reading of another value.
  void pretend(const KnobValue& value, const Reason& reason, MonotonicTime now);
  void forget_pretended();
  // A release that was refused is due now: the daemon stops, or an administrator asked again.
  void hurry_release() { release_due_at_ = {}; }

  // ---- questions
  [[nodiscard]] State state() const;
  [[nodiscard]] bool present() const { return present_; }
  [[nodiscard]] bool touched() const { return !ours_.empty(); }
  [[nodiscard]] bool in_flight() const { return order_.has_value(); }
  // For a new value: what is there now is known, and nothing is under way.
  [[nodiscard]] bool may_send() const { return present_ && baseline_ && !order_ && certain_; }
  // For the baseline: touched, nothing under way, and the last refusal is long enough ago.
  [[nodiscard]] bool release_due(MonotonicTime now) const {
    return touched() && present_ && baseline_ && !order_ && now >= release_due_at_;
  }
  [[nodiscard]] const std::optional<KnobValue>& baseline() const { return baseline_; }
  [[nodiscard]] const std::vector<KnobValue>& ours() const { return ours_; }
  [[nodiscard]] const std::optional<LimitOrder>& order() const { return order_; }
  // What policy works with: what the kernel is believed to hold; in dry-run what it would hold.
  [[nodiscard]] const KnobValue& value() const { return pretended_ ? *pretended_ : held_; }
  [[nodiscard]] bool pretends() const { return pretended_.has_value(); }
  // Of value(): whose it is, why it is what it is, and since when. Rule::none: it is not our doing, or why is
  // not known.
  [[nodiscard]] Origin origin() const;
  [[nodiscard]] const Reason& reason() const { return reason_; }
  [[nodiscard]] const std::optional<MonotonicTime>& changed_at() const { return changed_at_; }
  // An external writer's value is the baseline, since then.
  [[nodiscard]] const std::optional<MonotonicTime>& external_since() const { return external_since_; }
  // Of the last receipt: older readings are stale.
  [[nodiscard]] MonotonicTime settled_at() const { return settled_at_; }
  [[nodiscard]] std::uint32_t refused_releases() const { return refused_releases_; }
  // Grows with every change of what a lease has to say: baseline and ours.
  [[nodiscard]] std::uint32_t lease_revision() const { return lease_revision_; }

 private:
  void set_ours(std::vector<KnobValue> ours);
  void set_baseline(const KnobValue& value);
  void hold(const KnobValue& value, MonotonicTime at, Origin origin, const Reason& reason = {});
  void hold_unexplained(const KnobValue& found, MonotonicTime at);
  [[nodiscard]] bool is_ours(const KnobValue& found) const;
  [[nodiscard]] bool is_reset(const KnobValue& found) const;
  [[nodiscard]] KnobValue external_part(const KnobValue& found) const;
  Change adopt_external(const KnobValue& found, MonotonicTime at);
  Change settle(const LimitOrder& order, const KnobValue& found, bool in_force, MonotonicTime at);
  Change observe_under_way(const KnobValue& found, MonotonicTime at);
  Change observe_stale(const KnobValue& found, MonotonicTime read_at);
  Change observe_uncertain(const KnobValue& found, MonotonicTime at);
  void postpone_release(MonotonicTime now);

  bool present_ = false;
  std::optional<KnobValue> baseline_;
  std::vector<KnobValue> ours_;
  KnobValue held_;
  Origin origin_ = Origin::unread;  // of held_
  std::optional<LimitOrder> order_;
  std::optional<KnobValue> pretended_;
  bool certain_ = true;                  // held_ was read, not concluded
  std::optional<LimitOrder> undecided_;  // returned, and what it left could not be read yet
  MonotonicTime read_at_{};              // of the newest reading
  MonotonicTime settled_at_{};           // readings from before this moment are stale
  MonotonicTime settled_before_{};       // the same, of the answer before that
  std::vector<KnobValue> replaced_;      // what may have been in force between the two
  MonotonicTime release_due_at_{};
  std::uint32_t refused_releases_ = 0;  // in a row
  Reason reason_;
  std::optional<MonotonicTime> changed_at_, external_since_;
  std::uint32_t lease_revision_ = 0;
};

std::string_view to_string(ManagedLimit::State state);

}  // namespace sluice
