#include "daemon/run/engine.hpp"

#include <algorithm>
#include <cerrno>

namespace sluice {
namespace {

// While the kernel's walk shows the same cgroups, all that a rescan could find is what a walk cannot show.
constexpr auto kRescanAnyway = std::chrono::seconds(10);

}  // namespace

Engine::Engine(Host& host, Parts parts)
    : host_(host),
      lease_(std::move(parts.lease)),
      holds_(std::move(parts.holds)),
      config_(std::move(parts.config)),
      inherited_(lease_.entries()),
      stored_holds_(holds_.loaded()),
      profiles_(std::move(parts.profiles)) {
  for (const auto& entry : inherited_) registry_.inherit(entry.id, entry.path);
}

void Engine::look(MonotonicTime now) {
  const auto stamp = host_.tree_stamp();
  const bool unchanged = stamp != 0 && stamp == scanned_stamp_;
  const bool due = now >= rescan_at_ && (!unchanged || now >= rescan_anyway_at_);
  if (std::exchange(rescan_now_, false) || due) {
    auto changes =
        registry_.rescan(host_, config_, owners_of(state_.ticks == 0 ? stored_holds_ : state_.holds));
    for (auto& p : changes.problems) sentences_.push_back({Sentence::Tone::bad, std::move(p)});
    for (auto& s : changes.silent) sentences_.push_back({Sentence::Tone::warning, std::move(s)});
    for (auto& s : changes.heard) sentences_.push_back({Sentence::Tone::good, std::move(s)});
    set_changed_ |= changes.set_changed;
    scanned_stamp_ = stamp;
    rescan_at_ = now + config_.node.discovery;
    rescan_anyway_at_ = now + kRescanAnyway;
  }
  std::vector<CgroupId> ids;
  ids.reserve(registry_.tasks().size());
  observations_.clear();
  observations_.reserve(registry_.tasks().size());
  for (const auto& [id, facts] : registry_.tasks()) {
    ids.push_back(id);
    observations_.push_back({facts, std::nullopt});
  }
  const auto samples = host_.sample(ids);
  for (std::size_t i = 0; i < observations_.size(); ++i) observations_[i].sample = samples[i];
}

const Report& Engine::full_tick(const Moment& moment) {
  reloaded_ = false;
  Input input;
  input.kind = Input::Kind::full;
  input.now = moment.now;
  input.wall = moment.wall;
  input.node = moment.node;
  input.tasks = std::exchange(observations_, {});
  input.profiles = std::exchange(profiles_, {});
  input.inherited = std::exchange(inherited_, {});
  if (state_.ticks == 0) input.holds = stored_holds_;
  return run(std::move(input));
}

const Report& Engine::event_tick(const Moment& moment, std::vector<ThrottleEvent> events) {
  if (reloaded_) return *last_;  // receipts and commands are kept for the full tick that has to come first
  Input input;
  input.kind = Input::Kind::event;
  input.now = moment.now;
  input.wall = moment.wall;
  input.node = moment.node;
  input.events = std::move(events);
  return run(std::move(input));
}

const Report& Engine::run(Input input) {
  (void)collect_receipts();
  input.stopping = stopping_;
  input.receipts = std::exchange(receipts_, {});
  input.commands = std::exchange(commands_, {});
  auto outcome = tick(input, config_, std::move(state_));
  state_ = std::move(outcome.state);
  keep(outcome);
  carry_out(outcome.plan, input.now);
  for (const auto id : outcome.let_go) registry_.forget(host_, id);
  set_changed_ |= !outcome.let_go.empty();
  if (!outcome.plan.writes.empty()) plan_ = outcome.plan;
  if (on_tick) on_tick(input, outcome.plan);
  if (stopping_) {
    for (const auto& a : outcome.report.adjustments) given_back_ += a.reason.rule == Rule::released ? 1 : 0;
  }
  last_ = std::make_shared<const Report>(std::move(outcome.report));
  if (last_->whole) report_ = last_;
  reports_.push_back(last_);
  return *last_;
}

// Before any order goes out: what a process after this one has to know.
void Engine::keep(const Outcome& outcome) {
  const auto kept = lease_.apply(outcome.lease);
  lease_errno_ = kept ? 0 : kept.error().errno_value;
  trouble(lease_trouble_,
          kept ? "" : "The lease cannot be written, so no new limit is set: " + describe(kept.error()),
          "The lease can be written again.");
  if (saved_holds_ == state_.holds.revision) return;
  const auto saved = holds_.save(state_.holds);
  if (saved) saved_holds_ = state_.holds.revision;
  trouble(holds_trouble_,
          saved ? "" : "Pins, suspensions and bounds would not survive a restart: " + describe(saved.error()),
          "Pins, suspensions and bounds are on file again.");
}

void Engine::trouble(std::string& known, const std::string& now, const char* over) {
  if (known == now) return;
  if (now.empty()) {
    sentences_.push_back({Sentence::Tone::good, over});
  } else {
    sentences_.push_back({Sentence::Tone::bad, now});
  }
  known = now;
}

void Engine::carry_out(const Plan& plan, MonotonicTime now) {
  if (plan.dry_run) return;
  std::vector<Write> orders;
  for (const auto& w : plan.writes) {
    // A value that is not on file could not be told from an external writer's after a crash.
    if (w.reason.rule == Rule::released || lease_.covers({w.id, w.knob}, w.value)) {
      orders.push_back(w);
      continue;
    }
    Receipt refused;
    refused.id = w.id;
    refused.knob = w.knob;
    refused.asked = w.value;
    refused.result = Receipt::Result::not_tried;
    refused.error_number = lease_errno_;
    refused.path = "the lease";
    refused.started_at = refused.finished_at = now;
    refused.caused_at = w.caused_at;
    receipts_.push_back(std::move(refused));
  }
  if (!orders.empty()) host_.submit(std::move(orders));
}

bool Engine::collect_receipts() {
  for (auto& r : host_.receipts()) receipts_.push_back(std::move(r));
  return !receipts_.empty();
}

// Bounds are checked together with those that the next tick will obey before them: two orders may each be
// right and contradict each other.
Command Engine::with_pending(const Command& command) const {
  const auto* bounds = std::get_if<SetBoundsCommand>(&command);
  if (!bounds) return command;
  SetBoundsCommand all;
  all.task = bounds->task;
  const auto take = [&](const SetBoundsCommand& c) {
    if (c.task != all.task) return;
    if (c.cpu_min_cores) all.cpu_min_cores = c.cpu_min_cores;
    if (c.cpu_max_cores) all.cpu_max_cores = c.cpu_max_cores;
    if (c.memory_min) all.memory_min = c.memory_min;
    if (c.memory_max) all.memory_max = c.memory_max;
  };
  for (const auto& each : commands_) {
    if (const auto* pending = std::get_if<SetBoundsCommand>(&each)) take(*pending);
  }
  take(*bounds);
  return all;
}

tl::expected<void, CommandError> Engine::submit(Command command) {
  if (auto checked = check_command(with_pending(command), *report_); !checked) return checked;
  commands_.push_back(std::move(command));
  return {};
}

void Engine::reload(config::Config config) {
  config_ = std::move(config);
  config_reloaded(state_);
  registry_.forget_rules();
  rescan_now_ = reloaded_ = true;
}

std::vector<LeaseEntry> Engine::left() const {
  return lease_of(state_);
}

bool Engine::all_given_back() const {
  return state_.ticks > 0 && std::none_of(state_.tasks.begin(), state_.tasks.end(), [](const auto& each) {
           return std::any_of(kKnobs.begin(), kKnobs.end(),
                              [&](Knob which) { return each.second.knob(which).limit.touched(); });
         });
}

cgroups::Result<void> Engine::close() {
  return all_given_back() ? lease_.remove() : cgroups::Result<void>{};
}

}  // namespace sluice
