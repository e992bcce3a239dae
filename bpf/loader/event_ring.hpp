// The ring that all event programs write to. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bpf/loader/libbpf.hpp"
#include "bpf/wire/counters.h"

struct ring_buffer;

namespace sluice::bpf {

class EventRing {
 public:
  static tl::expected<std::unique_ptr<EventRing>, Error> create(std::uint32_t bytes);

  int fd() const;
  // Makes the map `events` of an object that is not loaded yet refer to this ring. Returns 0 or -errno.
  int share_with(bpf_object* object) const;
  tl::expected<std::size_t, Error> drain(const Source::EventHandler& events,
                                         const Source::WriteHandler& writes);
  std::uint64_t delivered() const { return delivered_; }

 private:
  struct RingDeleter {
    void operator()(ring_buffer* ring) const;
  };
  EventRing() = default;
  static int take(void* self, void* data, std::size_t bytes);

  Fd map_;
  std::unique_ptr<ring_buffer, RingDeleter> ring_;
  std::vector<sluice_event> events_;
  std::vector<sluice_write_event> writes_;
  std::uint64_t delivered_ = 0;
};

}  // namespace sluice::bpf
