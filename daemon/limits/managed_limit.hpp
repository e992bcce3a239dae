// The state machine of one limit: one knob of one governed cgroup, from the first reading to the restored
// baseline. Pure; values only. It is the only owner of these facts:
//
//   baseline   what the knob held before our first order, or what an external writer chose since
//   ours       the values of ours that the kernel may hold now; empty: none
//   held       what the kernel is believed to hold
//   order      the order that was sent and may still land
//
// Properties, each the name of a test:
//   - A baseline is never a value of ours. It is adopted from a reading before our first order, or later from
//     a value that none of our orders can have made.
//   - Nothing is sent without a baseline, or while an earlier order may still land.
//   - A late success is a success: a value that equals an order of ours is ours, whenever it lands.
//   - It is untouched again only when the kernel was seen to hold the baseline or an external writer's value,
//     or when the file or the cgroup is gone. A refused release is retried for ever, with a growing wait.
//   - An unknown reading changes nothing.
//   - A reason is shown only for a value that an order of ours made, or that dry-run would hold. A value
//     of an external writer, a value that was found and one that was inherited have none.
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
  bool overdue = false;  // its deadline passed and the write has not returned: it may still land
  bool adds = false;     // its value was not in `ours` before
  bool operator==(const LimitOrder&) const = default;
};

// One reading of the knob's file.
struct KnobReading {
  enum class File : std::uint8_t {
    unknown,  // it could not be read this time
    absent,   // the controller is off, so the file does not exist
    present,  // it held `value`
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
    ordered,    // an order may still land
    held,       // the kernel holds one of our values, and no order is in flight
  };

  // The result of a transition. The driver reports it, and yields or sends an order.
  enum class Event : std::uint8_t {
    none,
    adopted,     // the first baseline
    moved,       // untouched, and another value was read: it is the new baseline
    landed,      // an order with unknown result turned out to be in force
    reset,       // an external writer restored the baseline, as systemd does at a daemon-reload
    external,    // an external writer's value is the new baseline; nothing is ours any more
    confirmed,   // the order of this receipt is in force
    released,    // our release is done: the baseline is back
    failed,      // the order of this receipt is not in force
    overdue,     // the order missed its deadline and may still land
    not_tried,   // the order of this receipt was not tried: nothing changed
    undecided,   // the write returned, but its result could not be read: the next reading decides
    vanished,    // the file or the cgroup is gone, and the limit with it
    unexpected,  // a receipt that belongs to no order of this limit
  };
  struct Change {
    Event event = Event::none;
    KnobValue before, after;  // the values believed to be held
  };

  ManagedLimit() = default;
  // A limit from the lease: a value of `ours`, left by an earlier process, may be in force.
  static ManagedLimit inherited(const KnobValue& baseline, std::vector<KnobValue> ours);

  // Transitions.
  Change observe(const KnobReading& reading);
  // Requires may_send(). A release is an order for the baseline.
  void send(const KnobValue& value, const Reason& reason, MonotonicTime now);
  Change answer(const Receipt& receipt);
  // The cgroup is gone: nothing is left to restore.
  void vanish();
  // Dry-run: the value that would be held. Ends with forget_pretended() or a reading of another value.
  void pretend(const KnobValue& value, const Reason& reason, MonotonicTime now);
  void forget_pretended();
  // A refused release is due at once: the daemon stops, or an administrator asked again.
  void hurry_release() { release_due_at_ = {}; }

  // Queries.
  [[nodiscard]] State state() const;
  [[nodiscard]] bool present() const { return present_; }
  [[nodiscard]] bool touched() const { return !ours_.empty(); }
  [[nodiscard]] bool in_flight() const { return order_.has_value(); }
  // True if a new value may be sent: the current value is known, and no order is in flight.
  [[nodiscard]] bool may_send() const { return present_ && baseline_ && !order_ && certain_; }
  // True if the baseline may be sent: the limit is touched, no order is in flight, and the wait after the
  // last refusal is over.
  [[nodiscard]] bool release_due(MonotonicTime now) const {
    return touched() && present_ && baseline_ && !order_ && now >= release_due_at_;
  }
  [[nodiscard]] const std::optional<KnobValue>& baseline() const { return baseline_; }
  [[nodiscard]] const std::vector<KnobValue>& ours() const { return ours_; }
  [[nodiscard]] const std::optional<LimitOrder>& order() const { return order_; }
  // The value for policy: what the kernel is believed to hold, or would hold in dry-run.
  [[nodiscard]] const KnobValue& value() const { return pretended_ ? *pretended_ : held_; }
  [[nodiscard]] bool pretends() const { return pretended_.has_value(); }
  // About value(): who set it, why, and since when. Rule::none: we did not set it, or the reason is unknown.
  [[nodiscard]] Origin origin() const;
  [[nodiscard]] const Reason& reason() const { return reason_; }
  [[nodiscard]] const std::optional<MonotonicTime>& changed_at() const { return changed_at_; }
  // Since when the baseline is an external writer's value.
  [[nodiscard]] const std::optional<MonotonicTime>& external_since() const { return external_since_; }
  // Time of the last receipt: older readings are stale.
  [[nodiscard]] MonotonicTime settled_at() const { return settled_at_; }
  [[nodiscard]] std::uint32_t refused_releases() const { return refused_releases_; }
  // Grows with each change of the lease entry (baseline and ours).
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
  bool certain_ = true;                  // held_ was read, not assumed
  std::optional<LimitOrder> undecided_;  // its write returned, but the result was not read yet
  MonotonicTime read_at_{};              // of the newest reading
  MonotonicTime settled_at_{};           // readings before this time are stale
  MonotonicTime settled_before_{};       // settled_at_ of the receipt before
  std::vector<KnobValue> replaced_;      // what may have been in force between the two
  MonotonicTime release_due_at_{};
  std::uint32_t refused_releases_ = 0;  // consecutive
  Reason reason_;
  std::optional<MonotonicTime> changed_at_, external_since_;
  std::uint32_t lease_revision_ = 0;
};

std::string_view to_string(ManagedLimit::State state);

}  // namespace sluice
