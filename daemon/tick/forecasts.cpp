// Season profiles: learned while a task exists, kept by its name while it does not.
#include <algorithm>
#include <utility>

#include "daemon/tick/parts.hpp"

namespace sluice::parts {
namespace {

using std::chrono::seconds;

constexpr int kSeasonsKept = 5;              // seasons that a profile is kept without its task
constexpr std::size_t kProfilesKept = 1000;  // upper bound of profiles without a task

bool is_old(const SeasonProfile& p, seconds wall) {
  return p.seen_at + kSeasonsKept * p.season < wall;
}

void drop_old(Tick& t) {
  auto& profiles = t.state.profiles;
  std::erase_if(profiles, [&](const auto& each) { return is_old(each.second, t.input.wall.since_epoch); });
  while (profiles.size() > kProfilesKept) {
    profiles.erase(std::min_element(profiles.begin(), profiles.end(), [](const auto& a, const auto& b) {
      return a.second.seen_at < b.second.seen_at;
    }));
  }
}

Forecaster begin(Tick& t, const TaskState& task, seconds season) {
  Forecaster out;
  const auto kept = t.state.profiles.extract(task.facts.name);
  const bool fits =
      !kept.empty() && kept.mapped().season == season && !is_old(kept.mapped(), t.input.wall.since_epoch);
  out.profile = fits ? kept.mapped() : empty_profile(season);
  return out;
}

}  // namespace

void recall_profiles(Tick& t) {
  if (t.input.profiles.empty()) return;
  for (const auto& [task, profile] : t.input.profiles) {
    if (plausible(profile)) t.state.profiles.insert_or_assign(task, profile);
  }
  drop_old(t);
}

void keep_profile(Tick& t, TaskState& task) {
  if (!task.forecaster) return;
  t.state.profiles.insert_or_assign(task.facts.name, std::move(task.forecaster->profile));
  task.forecaster.reset();
  drop_old(t);
}

// At most once a second, which is enough. The forecast holds until the next call.
void follow_forecast(Tick& t, TaskState& task) {
  const auto& policy = t.policy_of(task);
  const auto mode =
      task.cpu.limit.present() && policy.cpu.enabled ? policy.forecast.mode : config::ForecastMode::off;
  if (mode == config::ForecastMode::off) return keep_profile(t, task);
  const WallClock& wall = t.input.wall;
  const auto season = std::chrono::duration_cast<seconds>(policy.forecast.season);
  if (!task.forecaster || task.forecaster->profile.season != season) task.forecaster = begin(t, task, season);
  Forecaster& f = *task.forecaster;
  f.latest.mode = mode;
  if (f.looked_at == wall.since_epoch) return;
  f.looked_at = wall.since_epoch;
  const double max_delay = in_seconds(policy.max_delay);
  const bool starved = longest_wait_seconds(t.input.now, task.cpu_control) > max_delay;
  const bool governed = t.mode == config::Mode::observe || governable(t, task);
  if (task.fresh && task.sample->cpu) {
    observe_season({task.sample->read_at, wall, task.sample->cpu->usage,
                    governed && !starved && !memory_is_the_cure(task.cause.now)},
                   f.profile, f.watch);
  }
  // max_delay in whole seconds, plus one for the write, but at most one bucket.
  const auto bucket = season / static_cast<std::int64_t>(f.profile.buckets.size());
  const auto ahead = std::min(std::chrono::ceil<seconds>(policy.max_delay) + seconds{1}, bucket);
  f.latest = forecast(f.profile, f.watch, wall, ahead, task.cpu_control.backlog_known);
  f.latest.mode = mode;
}

}  // namespace sluice::parts

namespace sluice {

std::vector<NamedProfile> profiles_of(const State& state) {
  std::vector<NamedProfile> out;
  for (const auto& [name, profile] : state.profiles) out.push_back({name, profile});
  for (const auto& [id, task] : state.tasks) {
    if (task.forecaster) out.push_back({task.facts.name, task.forecaster->profile});
  }
  return out;
}

}  // namespace sluice
