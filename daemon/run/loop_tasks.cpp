// The loop's view of the host: which cgroups are governed, what they look like now, and their baselines on
// disk.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/actuate/restore.hpp"
#include "daemon/run/loop.hpp"
#include "daemon/sample/bpf_sampler.hpp"
#include "daemon/sample/counters_sampler.hpp"
#include "daemon/sample/file_sampler.hpp"

namespace sluice {
namespace {

// From a foreign write to the tick that finds its value: the next one, unless the tick was late.
constexpr auto kWriterMemory = std::chrono::seconds(10);

}  // namespace

// Sampling: one walk of the kernel's iterator, or the files of every task.
std::vector<Observation> Loop::observe() {
  const std::optional<Bytes> swap = swap_free_;
  std::vector<Observation> out;
  out.reserve(registry_.tasks().size());
  for (const auto& [id, task] : registry_.tasks()) out.push_back({task.facts, std::nullopt});

  if (options_.bpf && options_.bpf->has_iterator()) {
    const auto records = options_.bpf->read();
    if (records) {
      cgroups_seen_ = 1;
      for (const auto& record : *records) {
        cgroups_seen_ += record.cgroup_id * 0x9e3779b97f4a7c15ULL;  // whatever the order
        const auto found =
            std::lower_bound(out.begin(), out.end(), CgroupId{record.cgroup_id},
                             [](const Observation& o, CgroupId id) { return o.facts.id < id; });
        if (found == out.end() || found->facts.id.value != record.cgroup_id) continue;
        found->sample = sample::complete(record, *registry_.find(found->facts.id)->cgroup, swap);
      }
      add_counters(out);
      return out;
    }
    lose_bpf(records.error().sentence);
  }
  for (auto& o : out) {
    auto sample = sample::sample_files(*registry_.find(o.facts.id)->cgroup, now(), swap);
    if (sample) o.sample = *sample;
  }
  add_counters(out);
  return out;
}

// What only the kernel programs tell, whatever the samples are from. Both lists are by cgroup id.
void Loop::add_counters(std::vector<Observation>& observations) {
  if (!options_.bpf) return;
  auto o = observations.begin();
  for (const auto& counters : options_.bpf->counters()) {
    while (o != observations.end() && o->facts.id.value < counters.cgroup_id) ++o;
    if (o == observations.end()) return;
    if (o->facts.id.value == counters.cgroup_id && o->sample) sample::add_counters(counters, *o->sample);
  }
}

// A write of ours that another hand undid is noticed by its value; who it was, only the kernel can tell.
void Loop::name_writers(Report& report) {
  std::erase_if(writes_seen_, [&](const WriteSeen& w) { return w.at + kWriterMemory < report.now; });
  for (auto& notice : report.notices) {
    if (notice.kind != Notice::Kind::foreign_write && notice.kind != Notice::Kind::knob_reset) continue;
    Knob knob = Knob::cpu_max;
    if (notice.receipt)
      knob = notice.receipt->knob;
    else if (notice.found)
      knob = std::holds_alternative<CpuMax>(*notice.found) ? Knob::cpu_max : Knob::memory_high;
    for (const auto& write : writes_seen_)  // the last one is the one that was found
      if (write.id == notice.id && write.knob == knob) notice.writer = write.writer;
    std::erase_if(writes_seen_, [&](const WriteSeen& w) { return w.id == notice.id && w.knob == knob; });
  }
}

void Loop::lose_bpf(const std::string& why) {
  spdlog::error("The BPF iterator failed, cgroups are read through files from now on: {}", why);
  events_ready_.reset();
  options_.bpf.reset();
  cgroups_seen_ = 0;
  facts_.sampling = SampleSource::files;
  facts_.sampling_reason = why;
  facts_.capabilities = {"files"};
}

void Loop::rescan() {
  auto changes = registry_.rescan(root_, config_);
  for (const auto& p : changes.problems) spdlog::warn("{}", p);
  for (const auto& gone : changes.removed) release(gone);
  if (!changes.added.empty()) journal_baselines(changes.added);
  if (options_.bpf && (!changes.added.empty() || !changes.removed.empty())) {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, task] : registry_.tasks()) ids.push_back(id.value);
    if (const auto set = options_.bpf->set_governed(ids); !set) {
      spdlog::error("The kernel programs do not watch new tasks: {}", set.error().sentence);
    }
  }
}

// On disk before the first write, and before it is urgent: an fsync must not delay a rescue.
void Loop::journal_baselines(const std::vector<CgroupId>& ids) {
  std::vector<actuate::LeaseEntry> entries;
  for (const auto id : ids) {
    const auto* task = registry_.find(id);
    if (!task) continue;
    const auto own = registry_.lease_entries(*task);
    entries.insert(entries.end(), own.begin(), own.end());
  }
  if (const auto added = lease_.add(entries); !added) {
    facts_.last_error = describe(added.error());
    spdlog::error("The lease could not be journalled, so nothing is written: {}", facts_.last_error);
  }
}

// What is lost when the host goes down is at most so old. Not at the start: what is on disk is what is known.
void Loop::save_profiles() {
  constexpr auto kInterval = std::chrono::minutes(10);
  const bool first = profiles_at_ == MonotonicTime{};
  profiles_at_ = now() + kInterval;
  if (!options_.profile_store || first) return;
  if (const auto why = options_.profile_store->failed()) spdlog::error("{}", *why);
  if (auto profiles = profiles_of(state_); !profiles.empty())
    options_.profile_store->save(std::move(profiles));
}

// A task that left the config gets its baseline back; one that is gone needs none.
void Loop::release(const Governed& task) {
  const auto state = state_.tasks.find(task.facts.id);
  if (state == state_.tasks.end()) {
    (void)lease_.remove(std::vector{task.facts.id});
    return;
  }
  std::set<Knob> restoring;
  for (const auto& w : restore_plan(state_).writes) {
    if (w.id != task.facts.id) continue;
    actuator_.submit({w, task.cgroup});
    restoring.insert(w.knob);
  }
  if (restoring.empty()) {
    (void)lease_.remove(std::vector{task.facts.id});
    return;
  }
  leaving_.insert_or_assign(task.facts.id, task);
  // A knob that was never written gets no receipt: its entry would stay for as long as the daemon runs.
  for (const auto knob : {Knob::cpu_max, Knob::memory_high}) {
    if (!restoring.contains(knob) && lease_.holds(task.facts.id, knob))
      (void)lease_.remove(task.facts.id, knob);
  }
}

}  // namespace sluice
