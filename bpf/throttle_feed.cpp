#include "bpf/throttle_feed.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>

#include "bpf/throttle.skel.h"

namespace sluice::bpf {
namespace {

// The program adds to these while we read.
std::uint64_t load(std::uint64_t& counter) {
  return std::atomic_ref(counter).load(std::memory_order_relaxed);
}

}  // namespace

void ThrottleFeed::SkeletonDeleter::operator()(throttle_bpf* skeleton) const {
  throttle_bpf::destroy(skeleton);
}
void ThrottleFeed::RingDeleter::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}
ThrottleFeed::~ThrottleFeed() = default;

tl::expected<std::unique_ptr<ThrottleFeed>, Error> ThrottleFeed::open(const Options& options) {
  LogCapture log;
  const auto fail = [&](const char* what, int os_error) {
    return tl::unexpected(make_error(what, os_error, log.text()));
  };
  std::unique_ptr<ThrottleFeed> feed(new ThrottleFeed);
  feed->skeleton_.reset(throttle_bpf::open());
  throttle_bpf* skeleton = feed->skeleton_.get();
  if (!skeleton) return fail("opening the throttle hook", errno);
  skeleton->rodata->event_interval_ns = static_cast<std::uint64_t>(options.event_interval.count());
  int failure = bpf_map__set_max_entries(skeleton->maps.governed, options.governed_capacity);
  if (failure == 0) failure = bpf_map__set_max_entries(skeleton->maps.events, options.ring_bytes);
  if (failure == 0) failure = throttle_bpf::load(skeleton);
  if (failure != 0) return fail("loading the throttle hook", -failure);
  feed->ring_.reset(
      ring_buffer__new(bpf_map__fd(skeleton->maps.events), &ThrottleFeed::take, feed.get(), nullptr));
  if (!feed->ring_) return fail("mapping the throttle events", errno);
  feed->link_.reset(bpf_program__attach(skeleton->progs.on_throttle));
  if (!feed->link_) return fail("attaching to throttle_cfs_rq()", errno);
  return feed;
}

int ThrottleFeed::fd() const {
  return ring_buffer__epoll_fd(ring_.get());
}

int ThrottleFeed::take(void* self, void* data, std::size_t bytes) {
  if (bytes != sizeof(sluice_event)) return -EPROTO;
  sluice_event event;
  std::memcpy(&event, data, sizeof(event));
  static_cast<ThrottleFeed*>(self)->taken_.push_back(event);
  return 0;
}

tl::expected<std::size_t, Error> ThrottleFeed::drain(const Source::EventHandler& handler) {
  taken_.clear();
  const int got = ring_buffer__consume(ring_.get());
  if (got < 0) return tl::unexpected(make_error("reading the throttle events", -got));
  delivered_ += taken_.size();
  // After libbpf's loop: a handler may throw, which C code does not survive.
  for (const sluice_event& event : taken_) handler(event);
  return taken_.size();
}

tl::expected<void, Error> ThrottleFeed::set_governed(std::span<const std::uint64_t> cgroup_ids) {
  const int map = bpf_map__fd(skeleton_->maps.governed);
  const std::unordered_set<std::uint64_t> wanted(cgroup_ids.begin(), cgroup_ids.end());
  for (auto it = governed_.begin(); it != governed_.end();) {  // first, for they make room
    if (wanted.contains(*it)) {
      ++it;
      continue;
    }
    const std::uint64_t id = *it;
    bpf_map_delete_elem(map, &id);  // cannot fail: it is there, and nobody else deletes
    it = governed_.erase(it);
  }
  for (const std::uint64_t id : wanted) {
    if (governed_.contains(id)) continue;
    const sluice_governed fresh = {};
    if (bpf_map_update_elem(map, &id, &fresh, BPF_ANY) != 0)
      return tl::unexpected(
          make_error("watching " + std::to_string(wanted.size()) + " cgroups for throttling", errno));
    governed_.insert(id);
  }
  return {};
}

sluice_throttle_counts ThrottleFeed::counts() const {
  sluice_throttle_counts& counts = skeleton_->bss->counts;
  return {load(counts.throttles), load(counts.suppressed), load(counts.lost)};
}

}  // namespace sluice::bpf
