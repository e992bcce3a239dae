// One governor without a clock, a bus or an event loop: registry, tick, lease, holds and a host, and the
// values carried between them. It decides nothing: whatever has an `if` about limits, baselines or tasks is
// in the tick. Time is a value, so that all of it runs on the in-process simulated host. One thread.
//
// A start after a crash, a stop and `sluiced --restore` are the same thing: the state begins with what the
// lease says, and while `stopping` every limit is released until nothing is left.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/actuate/lease.hpp"
#include "daemon/record/hold_store.hpp"
#include "daemon/run/host.hpp"
#include "daemon/run/registry.hpp"
#include "daemon/tick/tick.hpp"

namespace sluice {

class Engine {
 public:
  struct Parts {
    actuate::Lease lease;
    record::HoldStore holds;
    config::Config config;
    std::vector<NamedProfile> profiles;  // what forecasts have learned before
  };
  // All that a tick needs of the moment.
  struct Moment {
    MonotonicTime now{};
    WallClock wall;
    NodeFacts node;
  };
  // What the operator has to read, whole sentences: once when it begins, once when it is over.
  struct Sentence {
    bool good = false;
    std::string text;
  };

  Engine(Host& host, Parts parts);

  // First half of a full tick: finds cgroups when that is due, and samples. What happens between the two
  // halves may be an event_tick.
  void look(MonotonicTime now);
  const Report& full_tick(const Moment& moment);
  const Report& event_tick(const Moment& moment, std::vector<ThrottleEvent> events);

  // Obeyed by the next tick. The error says why it cannot be.
  tl::expected<void, CommandError> submit(Command command);
  [[nodiscard]] bool has_commands() const { return !commands_.empty(); }
  // Takes the receipts that are there; true: a tick should see them.
  bool collect_receipts();
  // Until the next full tick no event tick runs: tasks know rules of the old configuration.
  void reload(config::Config config);
  // From now on every limit is released, whatever the configuration and the holds say.
  void stop() { stopping_ = true; }

  // Called with every tick's input and plan, for recordings.
  std::function<void(const Input&, const Plan&)> on_tick;

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const Registry& registry() const { return registry_; }
  [[nodiscard]] const Plan& plan() const { return plan_; }  // the last that had writes
  [[nodiscard]] const std::shared_ptr<const Report>& report() const { return report_; }  // the last whole one
  // Since the last call, oldest first.
  std::deque<std::shared_ptr<const Report>> take_reports() { return std::exchange(reports_, {}); }
  std::vector<Sentence> take_sentences() { return std::exchange(sentences_, {}); }
  // Of the last tick: cgroups came or went.
  [[nodiscard]] bool set_changed() { return std::exchange(set_changed_, false); }
  // Every limit of which something of ours may be in force.
  [[nodiscard]] std::vector<LeaseEntry> left() const;
  [[nodiscard]] bool all_given_back() const;
  // Limits that were released since stop().
  [[nodiscard]] std::size_t given_back() const { return given_back_; }
  // At the end: the lease's file goes when nothing is left to give back.
  cgroups::Result<void> close();

 private:
  const Report& run(Input input);
  void keep(const Outcome& outcome);
  void carry_out(const Plan& plan, MonotonicTime now);
  void trouble(std::string& known, const std::string& now, const char* over);

  Host& host_;
  actuate::Lease lease_;
  record::HoldStore holds_;
  config::Config config_;
  Registry registry_;
  State state_;
  std::vector<LeaseEntry> inherited_;
  Holds stored_holds_;
  std::vector<NamedProfile> profiles_;
  std::vector<Observation> observations_;
  std::vector<Receipt> receipts_;
  std::vector<Command> commands_;
  Plan plan_;
  std::shared_ptr<const Report> report_ = std::make_shared<Report>();
  std::shared_ptr<const Report> last_ = report_;
  std::deque<std::shared_ptr<const Report>> reports_;
  std::vector<Sentence> sentences_;
  std::string lease_trouble_, holds_trouble_;
  int lease_errno_ = 0;
  std::size_t given_back_ = 0;
  std::uint64_t saved_holds_ = 0;  // revision
  MonotonicTime rescan_at_{}, rescan_anyway_at_{};
  std::uint64_t scanned_stamp_ = 0;
  bool rescan_now_ = true, reloaded_ = false, set_changed_ = false, stopping_ = false;
};

}  // namespace sluice
