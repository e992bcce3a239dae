#include "bpf/loader/memory_watch.hpp"

#include <cerrno>

#include "bpf/loader/shared_memory.hpp"
#include "bpf/memstall.skel.h"

namespace sluice::bpf {

void MemoryWatch::SkeletonDeleter::operator()(memstall_bpf* skeleton) const {
  memstall_bpf::destroy(skeleton);
}
MemoryWatch::~MemoryWatch() = default;

tl::expected<std::unique_ptr<MemoryWatch>, Error> MemoryWatch::open(const Options& options,
                                                                    const EventFacts& facts,
                                                                    const GovernedSet& governed,
                                                                    const EventRing& ring, Shortfall& lacks) {
  LogCapture log;
  const auto fail = [&](const char* what, int os_error) {
    return tl::unexpected(make_error(what, os_error, log.text()));
  };
  std::unique_ptr<MemoryWatch> watch(new MemoryWatch);
  watch->skeleton_.reset(memstall_bpf::open());
  memstall_bpf* skeleton = watch->skeleton_.get();
  if (!skeleton) return fail("opening the memory programs", errno);
  auto& programs = skeleton->progs;
  skeleton->rodata->event_interval_ns = static_cast<std::uint64_t>(options.event_interval.count());
  const bool high = facts.has_penalty_hook;
  bpf_program__set_autoload(programs.on_stall, facts.has_memstall_hooks);
  bpf_program__set_autoload(programs.on_stall_end, facts.has_memstall_hooks);
  bpf_program__set_autoload(programs.on_penalty, high);
  bpf_program__set_autoload(programs.on_penalty_end, high);
  bpf_program__set_autoload(programs.on_oom, facts.has_oom_hook);
  int failure = governed.share_with(skeleton->obj);
  if (failure == 0) failure = ring.share_with(skeleton->obj);
  if (failure == 0) failure = bpf_map__set_max_entries(skeleton->maps.stalls, governed.capacity());
  if (failure == 0) failure = memstall_bpf::load(skeleton);
  if (failure != 0) return fail("loading the memory programs", -failure);
  watch->slots_ = map_array<sluice_stall_slot>(skeleton->maps.stalls);
  if (!watch->slots_) return fail("mapping the memory counters", errno);

  // The end is attached first: a start alone would be remembered in vain.
  const auto attach = [](bool wanted, Link& link, bpf_program* program) {
    if (wanted) link.reset(bpf_program__attach(program));
    return link != nullptr;
  };
  if (attach(facts.has_memstall_hooks, watch->stall_end_, programs.on_stall_end) &&
      attach(true, watch->stall_, programs.on_stall))
    watch->counted_ |= SLUICE_COUNTS_MEMORY_STALL;
  else
    lacks.add("psi_memstall_enter() cannot be traced: the tasks' memory stalls are not counted.",
              facts.has_memstall_hooks ? errno : 0);
  if (attach(high, watch->penalty_end_, programs.on_penalty_end) &&
      attach(true, watch->penalty_, programs.on_penalty))
    watch->counted_ |= SLUICE_COUNTS_HIGH;
  else
    lacks.add(
        "schedule_timeout_killable() cannot be traced: penalties above memory.high are not counted "
        "from other stalls.",
        high ? errno : 0);
  if (attach(facts.has_oom_hook, watch->oom_, programs.on_oom))
    watch->counted_ |= SLUICE_COUNTS_OOM_KILLS;
  else
    lacks.add("oom_kill_process() cannot be traced: an OOM kill is seen at the next tick.",
              facts.has_oom_hook ? errno : 0);
  if (watch->counted_ == 0) return fail("attaching the memory programs", errno);
  return watch;
}

sluice_stall_slot& MemoryWatch::slot(std::uint32_t index) {
  return reinterpret_cast<sluice_stall_slot*>(slots_.writable())[index];
}

void MemoryWatch::restart(GovernedSet::Member member) {
  slot(member.slot) = {};
  slot(member.slot).cgroup_id = member.cgroup_id;
}

void MemoryWatch::fill(sluice_counters& counters) {
  const sluice_stall_slot& from = slot(counters.slot);
  counters.memory = {load(from.stalled_ns), load(from.high_throttled_ns), load(from.oom_kills)};
  counters.valid |= counted_;
}

Swallowed MemoryWatch::swallowed() const {
  const sluice_stall_counts& counts = skeleton_->bss->counts;
  return {load(counts.suppressed), load(counts.lost)};
}

bpf_object* MemoryWatch::object() const {
  return skeleton_->obj;
}

}  // namespace sluice::bpf
