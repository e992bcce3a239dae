#include "bpf/loader/writer_watch.hpp"

#include <unistd.h>

#include <cerrno>

#include "bpf/loader/shared_memory.hpp"
#include "bpf/writer.skel.h"

namespace sluice::bpf {

void WriterWatch::SkeletonDeleter::operator()(writer_bpf* skeleton) const {
  writer_bpf::destroy(skeleton);
}
WriterWatch::~WriterWatch() = default;

tl::expected<std::unique_ptr<WriterWatch>, Error> WriterWatch::open(const Options& options,
                                                                    const GovernedSet& governed,
                                                                    const EventRing& ring) {
  LogCapture log;
  const auto fail = [&](const char* what, int os_error) {
    return tl::unexpected(make_error(what, os_error, log.text()));
  };
  std::unique_ptr<WriterWatch> watch(new WriterWatch);
  watch->skeleton_.reset(writer_bpf::open());
  writer_bpf* skeleton = watch->skeleton_.get();
  if (!skeleton) return fail("opening the writer program", errno);
  skeleton->rodata->event_interval_ns = static_cast<std::uint64_t>(options.event_interval.count());
  skeleton->rodata->own_tgid = options.own_writes ? 0 : static_cast<std::uint32_t>(getpid());
  int failure = governed.share_with(skeleton->obj);
  if (failure == 0) failure = ring.share_with(skeleton->obj);
  if (failure == 0) failure = bpf_map__set_max_entries(skeleton->maps.writes, governed.capacity());
  if (failure == 0) failure = writer_bpf::load(skeleton);
  if (failure != 0) return fail("loading the writer program", -failure);
  watch->slots_ = map_array<sluice_write_slot>(skeleton->maps.writes);
  if (!watch->slots_) return fail("mapping the writer program's slots", errno);
  watch->link_.reset(bpf_program__attach(skeleton->progs.on_write));
  if (!watch->link_) return fail("attaching to cgroup_file_write()", errno);
  return watch;
}

void WriterWatch::restart(GovernedSet::Member member) {
  reinterpret_cast<sluice_write_slot*>(slots_.writable())[member.slot] = {};
}

Swallowed WriterWatch::swallowed() const {
  const sluice_write_counts& counts = skeleton_->bss->counts;
  return {load(counts.suppressed), load(counts.lost)};
}

bpf_object* WriterWatch::object() const {
  return skeleton_->obj;
}

}  // namespace sluice::bpf
