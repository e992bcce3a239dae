#include "bpf/loader/walker_tables.hpp"

#include <bpf/btf.h>

#include <cerrno>
#include <memory>

#include "bpf/wire/walk_tables.h"
// The skeleton needs the types of the header above.
#include "bpf/walk_tables.skel.h"

namespace sluice::bpf {
namespace {

struct SkeletonDeleter {
  void operator()(walk_tables_bpf* skeleton) const { walk_tables_bpf::destroy(skeleton); }
};

}  // namespace

tl::expected<StatLayout, Error> find_stat_layout(std::vector<Program>& programs) {
  const std::unique_ptr<btf, decltype(&btf__free)> kernel(btf__load_vmlinux_btf(), &btf__free);
  if (!kernel) return tl::unexpected(make_error("reading the kernel's types", errno));
  const StatTypes types = learn_stat_types(kernel.get());
  if (!types.complete)
    return tl::unexpected(make_error("finding memory.stat's counters in the kernel's types", ENOENT));
  const auto unreadable = [] {
    return tl::unexpected(make_error("making sense of the kernel's table of memory counters", EPROTO));
  };
  if (!types.state.needs_table() && !types.events.needs_table()) {
    const auto layout = lay_out(types, {}, {});
    if (!layout) return unreadable();
    return *layout;
  }

  LogCapture log;
  const auto fail = [&](const char* what, int os_error) {
    return tl::unexpected(make_error(what, os_error, log.text()));
  };
  const std::unique_ptr<walk_tables_bpf, SkeletonDeleter> skeleton(walk_tables_bpf::open());
  if (!skeleton) return fail("opening the search for memory counters", errno);
  sluice_walk_tables& tables = skeleton->bss->tables;
  tables.found[SLUICE_TABLE_STATE] = !types.state.needs_table();
  tables.found[SLUICE_TABLE_EVENTS] = !types.events.needs_table();
  tables.missing = types.state.needs_table() + types.events.needs_table();
  if (const int failure = walk_tables_bpf::load(skeleton.get()); failure != 0)
    return fail("loading the search for memory counters", -failure);
  append_programs(skeleton->obj, programs);
  const Link link(bpf_program__attach_iter(skeleton->progs.find_tables, nullptr));
  if (!link) return fail("attaching the search for memory counters", errno);
  const Fd iterator(bpf_iter_create(bpf_link__fd(link.get())));
  if (iterator.get() < 0) return fail("starting the search for memory counters", errno);
  char nothing = 0;
  // EAGAIN: the program has found everything and ended the iteration.
  while (skeleton->bss->tables.missing > 0) {
    const ssize_t got = ::read(iterator.get(), &nothing, sizeof(nothing));
    if (got == 0) break;
    if (got < 0 && errno != EINTR && errno != EAGAIN) return fail("searching for memory counters", errno);
  }
  const sluice_walk_tables& seen = skeleton->bss->tables;
  if (seen.missing > 0) return fail("finding the kernel's table of memory counters", ENOENT);
  const auto layout = lay_out(types, seen.bytes[SLUICE_TABLE_STATE], seen.bytes[SLUICE_TABLE_EVENTS]);
  if (!layout) return unreadable();
  return *layout;
}

}  // namespace sluice::bpf
