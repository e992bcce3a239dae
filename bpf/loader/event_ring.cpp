#include "bpf/loader/event_ring.hpp"

#include <cerrno>
#include <cstring>

namespace sluice::bpf {

void EventRing::RingDeleter::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}

tl::expected<std::unique_ptr<EventRing>, Error> EventRing::create(std::uint32_t bytes) {
  std::unique_ptr<EventRing> made(new EventRing);
  made->map_ = Fd(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "events", 0, 0, bytes, nullptr));
  if (made->map_.get() < 0) return tl::unexpected(make_error("making the ring of events", errno));
  made->ring_.reset(ring_buffer__new(made->map_.get(), &EventRing::take, made.get(), nullptr));
  if (!made->ring_) return tl::unexpected(make_error("mapping the ring of events", errno));
  return made;
}

int EventRing::fd() const {
  return ring_buffer__epoll_fd(ring_.get());
}

int EventRing::share_with(bpf_object* object) const {
  bpf_map* map = bpf_object__find_map_by_name(object, "events");
  return map == nullptr ? -ENOENT : bpf_map__reuse_fd(map, map_.get());
}

int EventRing::take(void* self, void* data, std::size_t bytes) {
  auto& ring = *static_cast<EventRing*>(self);
  if (bytes == sizeof(sluice_event)) {
    std::memcpy(&ring.events_.emplace_back(), data, bytes);
  } else if (bytes == sizeof(sluice_write_event)) {
    std::memcpy(&ring.writes_.emplace_back(), data, bytes);
  } else {
    return -EPROTO;
  }
  return 0;
}

tl::expected<std::size_t, Error> EventRing::drain(const Source::EventHandler& events,
                                                  const Source::WriteHandler& writes) {
  events_.clear();
  writes_.clear();
  const int got = ring_buffer__consume(ring_.get());
  if (got < 0) return tl::unexpected(make_error("reading the kernel's events", -got));
  const std::size_t taken = events_.size() + writes_.size();
  delivered_ += taken;
  // Called after libbpf's loop: a handler may throw, which must not pass through C code.
  if (writes)
    for (const sluice_write_event& event : writes_) writes(event);
  for (const sluice_event& event : events_) events(event);
  return taken;
}

}  // namespace sluice::bpf
