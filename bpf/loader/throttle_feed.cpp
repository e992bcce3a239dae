#include "bpf/loader/throttle_feed.hpp"

#include <algorithm>
#include <cerrno>

#include "bpf/loader/shared_memory.hpp"
#include "bpf/throttle.skel.h"

namespace sluice::bpf {

void ThrottleFeed::SkeletonDeleter::operator()(throttle_bpf* skeleton) const {
  throttle_bpf::destroy(skeleton);
}
ThrottleFeed::~ThrottleFeed() = default;

tl::expected<std::unique_ptr<ThrottleFeed>, Error> ThrottleFeed::open(const Options& options,
                                                                      const EventFacts& facts,
                                                                      const GovernedSet& governed,
                                                                      const EventRing& ring,
                                                                      Shortfall& lacks) {
  LogCapture log;
  const auto fail = [&](const char* what, int os_error) {
    return tl::unexpected(make_error(what, os_error, log.text()));
  };
  std::unique_ptr<ThrottleFeed> feed(new ThrottleFeed);
  feed->cpus_ = static_cast<std::uint32_t>(std::max(1, libbpf_num_possible_cpus()));
  feed->shown_ns_.resize(governed.capacity());
  feed->skeleton_.reset(throttle_bpf::open());
  throttle_bpf* skeleton = feed->skeleton_.get();
  if (!skeleton) return fail("opening the throttle hook", errno);
  skeleton->rodata->event_interval_ns = static_cast<std::uint64_t>(options.event_interval.count());
  skeleton->rodata->cpus = feed->cpus_;
  bpf_program__set_autoload(skeleton->progs.on_unthrottle, facts.has_unthrottle_hook);
  const std::uint32_t flags = governed.capacity() * feed->cpus_;
  int failure = governed.share_with(skeleton->obj);
  if (failure == 0) failure = ring.share_with(skeleton->obj);
  if (failure == 0) failure = bpf_map__set_max_entries(skeleton->maps.throttles, governed.capacity());
  if (failure == 0) failure = bpf_map__set_max_entries(skeleton->maps.stopped, flags);
  if (failure == 0) failure = throttle_bpf::load(skeleton);
  if (failure != 0) return fail("loading the throttle hook", -failure);

  feed->slots_ = map_array<sluice_throttle_slot>(skeleton->maps.throttles);
  feed->stopped_ = map_array<std::uint64_t>(skeleton->maps.stopped);
  if (!feed->slots_ || !feed->stopped_) return fail("mapping the throttle counters", errno);
  feed->begin_link_.reset(bpf_program__attach(skeleton->progs.on_throttle));
  if (!feed->begin_link_) return fail("attaching to throttle_cfs_rq()", errno);
  if (facts.has_unthrottle_hook) feed->end_link_.reset(bpf_program__attach(skeleton->progs.on_unthrottle));
  if (!feed->end_link_)
    lacks.add("unthrottle_cfs_rq() cannot be traced: how long a cgroup stands still is not known.",
              facts.has_unthrottle_hook ? errno : 0);
  return feed;
}

sluice_throttle_slot& ThrottleFeed::slot(std::uint32_t index) {
  return reinterpret_cast<sluice_throttle_slot*>(slots_.writable())[index];
}

void ThrottleFeed::restart(GovernedSet::Member member) {
  slot(member.slot) = {};
  shown_ns_[member.slot] = 0;
  // An array's entries are at multiples of eight bytes.
  auto* flags = reinterpret_cast<std::uint64_t*>(stopped_.writable());
  std::fill_n(flags + static_cast<std::size_t>(member.slot) * cpus_, cpus_, 0);
}

void ThrottleFeed::fill(sluice_counters& counters) {
  if (!end_link_) return;
  const sluice_throttle_slot& from = slot(counters.slot);
  const std::uint64_t stopped = load(from.stopped);
  std::uint64_t total_ns = load(from.stopped_ns);
  if ((stopped & SLUICE_STOPPED_MASK) != 0) {
    const std::uint64_t now = monotonic_ns() >> SLUICE_STOPPED_TIME_SHIFT << SLUICE_STOPPED_BITS;
    const std::uint64_t lasts = now - (stopped & ~SLUICE_STOPPED_MASK);
    total_ns += lasts >> SLUICE_STOPPED_BITS << SLUICE_STOPPED_TIME_SHIFT;
  }
  // If a stretch ended between the two loads it would count twice or not at all, so the last value is shown.
  if (stopped != load(from.stopped)) total_ns = shown_ns_[counters.slot];
  std::uint64_t& shown = shown_ns_[counters.slot];
  shown = std::max(shown, total_ns);
  counters.throttle = {load(from.count), shown, load(from.stopped_tasks)};
  counters.valid |= SLUICE_COUNTS_THROTTLE;
}

bpf_object* ThrottleFeed::object() const {
  return skeleton_->obj;
}

Swallowed ThrottleFeed::swallowed() const {
  const sluice_throttle_counts& counts = skeleton_->bss->counts;
  return {load(counts.suppressed), load(counts.lost)};
}

std::uint64_t ThrottleFeed::throttles() const {
  return load(skeleton_->bss->counts.throttles);
}

}  // namespace sluice::bpf
