// Feeds recorded entries to the tick. Pure; one thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "daemon/record/entry.hpp"
#include "daemon/tick/tick.hpp"

namespace sluice::record {

// Same input and same configuration: the plan must be byte-identical.
class Replay {
 public:
  // The plan that this build makes of the entry; none if the entry is no tick.
  std::optional<Plan> take(const Entry& entry);
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const config::Config& config() const { return config_; }

 private:
  config::Config config_;
  State state_;
  bool configured_ = false;
};

// True if two plans are equal in every byte that would be recorded.
bool same(const Plan& a, const Plan& b);

// What another configuration would have done with the same load. The load does not react: usage, memory and
// pressure are as recorded. Assumptions:
// - writes succeed at once, and there are no external writers;
// - if more CPU is granted than in the recording, the recorded throttling counts as absent;
// - if less is granted than was used, this is reported (`short_core_seconds`) without further effect.
class WhatIf {
 public:
  // The rule that governs a cgroup; none: not governed.
  using Match = std::function<std::optional<std::size_t>(const TaskFacts&)>;
  WhatIf(config::Config config, Match match);

  struct Side {
    double core_seconds = 0, byte_seconds = 0;  // granted; no limit counts as the node's capacity
    std::uint64_t writes = 0;
  };
  struct Task {
    std::string name;
    bool governed = false;  // by the new configuration
    double seconds = 0, used_core_seconds = 0;
    Side recorded, replayed;
    double short_core_seconds = 0;  // usage above the quota that would have been granted
  };

  // The plan for a recorded tick; `then` is the recorded state before that tick.
  Plan take(const TickEntry& entry, const State& then);
  void reloaded() { config_reloaded(state_); }
  [[nodiscard]] const std::map<CgroupId, Task>& tasks() const { return tasks_; }

 private:
  // What is removed from a task's counters, because a larger quota would not have throttled it.
  struct Eased {
    std::optional<Sample> last;  // as recorded
    std::uint64_t periods = 0, count = 0, stopped_tasks = 0;
    Usec throttled{}, some{}, full{}, stopped{};
  };
  void ease(Sample& sample, bool larger);
  void show_baselines(Sample& sample, const State& then) const;
  bool grants_more(CgroupId id, const State& then) const;
  void account(const Input& input, const State& then);

  config::Config config_;
  Match match_;
  State state_;
  std::vector<Receipt> receipts_;
  std::map<CgroupId, Eased> eased_;
  std::map<CgroupId, Task> tasks_;
  std::optional<MonotonicTime> full_at_;
};

}  // namespace sluice::record
