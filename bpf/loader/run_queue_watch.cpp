#include "bpf/loader/run_queue_watch.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "bpf/loader/idle.hpp"
#include "bpf/loader/shared_memory.hpp"
#include "bpf/runqueue.skel.h"
#include "bpf/wire/runqueue.h"

namespace sluice::bpf {

void RunQueueWatch::SkeletonDeleter::operator()(runqueue_bpf* skeleton) const {
  runqueue_bpf::destroy(skeleton);
}
RunQueueWatch::~RunQueueWatch() = default;

tl::expected<std::unique_ptr<RunQueueWatch>, Error> RunQueueWatch::open(const GovernedSet& governed) {
  LogCapture log;
  const auto fail = [&](const char* what, int os_error) {
    return tl::unexpected(make_error(what, os_error, log.text()));
  };
  std::unique_ptr<RunQueueWatch> watch(new RunQueueWatch);
  const auto cpus = static_cast<std::uint32_t>(std::max(1, libbpf_num_possible_cpus()));
  watch->stripes_ = std::min<std::uint32_t>(std::bit_ceil(cpus), SLUICE_WAIT_STRIPES_MAX);
  watch->skeleton_.reset(runqueue_bpf::open());
  runqueue_bpf* skeleton = watch->skeleton_.get();
  if (!skeleton) return fail("opening the run queue program", errno);
  skeleton->rodata->stripes = watch->stripes_;
  skeleton->rodata->shared = cpus > watch->stripes_;
  int failure = governed.share_with(skeleton->obj);
  if (failure == 0)
    failure = bpf_map__set_max_entries(skeleton->maps.waits, governed.capacity() * watch->stripes_);
  if (failure == 0) failure = bpf_map__set_max_entries(skeleton->maps.idles, governed.capacity());
  if (failure == 0) failure = runqueue_bpf::load(skeleton);
  if (failure != 0) return fail("loading the run queue program", -failure);
  watch->waits_ = map_array<sluice_run_queue_wait>(skeleton->maps.waits);
  watch->idles_ = map_array<sluice_idle_slot>(skeleton->maps.idles);
  if (!watch->waits_ || !watch->idles_) return fail("mapping the run queue counters", errno);
  watch->link_.reset(bpf_program__attach(skeleton->progs.on_switch));
  if (!watch->link_) return fail("attaching to sched_switch", errno);
  return watch;
}

std::span<sluice_run_queue_wait> RunQueueWatch::stripes_of(std::uint32_t slot) {
  auto* all = reinterpret_cast<sluice_run_queue_wait*>(waits_.writable());
  return {all + static_cast<std::size_t>(slot) * stripes_, stripes_};
}

void RunQueueWatch::restart(GovernedSet::Member member) {
  for (sluice_run_queue_wait& stripe : stripes_of(member.slot)) stripe = {};
  restart_idle(reinterpret_cast<sluice_idle_slot*>(idles_.writable())[member.slot], monotonic_ns());
}

const sluice_idle_slot& RunQueueWatch::idle_slot(std::uint32_t index) const {
  return reinterpret_cast<const sluice_idle_slot*>(idles_.data())[index];
}

std::uint64_t RunQueueWatch::idle_until(std::uint32_t slot, std::uint64_t at_ktime_ns) const {
  return bpf::idle_until(idle_slot(slot), at_ktime_ns);
}

std::uint32_t RunQueueWatch::awake_threads(std::uint32_t slot) const {
  return bpf::awake_threads(idle_slot(slot));
}

void RunQueueWatch::fill(sluice_counters& counters) {
  sluice_run_queue_wait& sum = counters.run_queue;
  for (const sluice_run_queue_wait& stripe : stripes_of(counters.slot)) {
    sum.total_ns += load(stripe.total_ns);
    for (std::size_t i = 0; i < SLUICE_WAIT_BUCKETS; ++i) sum.log2_usec[i] += load(stripe.log2_usec[i]);
  }
  counters.idle = idle_of(idle_slot(counters.slot));
  counters.valid |= SLUICE_COUNTS_RUN_QUEUE | SLUICE_COUNTS_IDLE;
}

bpf_object* RunQueueWatch::object() const {
  return skeleton_->obj;
}

}  // namespace sluice::bpf
