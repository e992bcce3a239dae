#include "bpf/loader/walker.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>

#include "bpf/loader/shared_memory.hpp"
#include "bpf/loader/walker_tables.hpp"
#include "bpf/walk.skel.h"
#include "bpf/walk_css.skel.h"
#include "bpf/walk_css_seq.skel.h"
#include "bpf/walk_seq.skel.h"

namespace sluice::bpf {
namespace {

constexpr std::uint32_t kCapacityMax = 1u << 20;  // a read() of an iterator visits at most a million
constexpr int kWalkAttempts = 4;                  // cgroups may appear faster than the map grows

// Opens the object that names only what this kernel has. All four have the same maps, programs and constants.
walk_bpf* open_for(const KernelFacts& facts) {
  auto* skeleton = static_cast<walk_bpf*>(std::calloc(1, sizeof(walk_bpf)));
  if (skeleton == nullptr) return nullptr;
  int failure = walk_bpf__create_skeleton(skeleton);
  if (failure == 0) {
    const bool css = facts.has_css_flush, seq = facts.has_psi_seq;
    const auto object = css && seq ? &walk_css_seq_bpf::elf_bytes
                        : css      ? &walk_css_bpf::elf_bytes
                        : seq      ? &walk_seq_bpf::elf_bytes
                                   : &walk_bpf::elf_bytes;
    skeleton->skeleton->data = const_cast<void*>(object(&skeleton->skeleton->data_sz));
    failure = bpf_object__open_skeleton(skeleton->skeleton, nullptr);
  }
  if (failure == 0) return skeleton;
  walk_bpf::destroy(skeleton);
  errno = -failure;
  return nullptr;
}

}  // namespace

void Walker::SkeletonDeleter::operator()(walk_bpf* skeleton) const {
  walk_bpf::destroy(skeleton);
}
Walker::Walker(const Options& options, const KernelFacts& facts)
    : facts_(facts),
      root_fd_(options.root_fd),
      cpus_(static_cast<std::uint32_t>(std::max(1, libbpf_num_possible_cpus()))),
      tail_bytes_(sizeof(sluice_walk_tail) + cpus_ * sizeof(sluice_psi_cpu)) {}

Walker::~Walker() = default;

tl::expected<std::unique_ptr<Walker>, Error> Walker::open(const Options& options, const KernelFacts& facts,
                                                          Shortfall& lacks) {
  std::unique_ptr<Walker> walker(new Walker(options, facts));
  const std::uint32_t capacity = std::clamp(options.record_capacity, 16u, kCapacityMax);
  const char* const by_file = "memory.stat is read through files";
  if (!facts.has_cgroup_flush)
    lacks.add(Error{"Programs cannot flush this kernel's memory accounts"}, by_file);
  else if (auto layout = find_stat_layout(walker->programs_at_start_))
    walker->layout_ = *layout;
  else
    lacks.add(layout.error(), by_file);
  Error fresh_failed;
  if (facts.has_psi) {
    auto loaded = walker->load(capacity, true);
    if (loaded) return walker;
    fresh_failed = std::move(loaded.error());
  }
  auto loaded = walker->load(capacity, false);
  if (!loaded) return tl::unexpected(facts.has_psi ? std::move(fresh_failed) : std::move(loaded.error()));
  if (facts.has_psi)
    lacks.add(
        "Pressure cannot be read from the walk, so it is read through files: " + fresh_failed.sentence + ".",
        fresh_failed.os_error);
  return walker;
}

void Walker::append_programs(std::vector<Program>& programs) const {
  programs.insert(programs.end(), programs_at_start_.begin(), programs_at_start_.end());
  bpf::append_programs(skeleton_->obj, programs);
}

tl::expected<void, Error> Walker::load(std::uint32_t capacity, bool with_pressure) {
  LogCapture log;
  const auto fail = [&](const char* what, int os_error) {
    return tl::unexpected(make_error(what, os_error, log.text()));
  };
  std::unique_ptr<walk_bpf, SkeletonDeleter> fresh(open_for(facts_));
  if (!fresh) return fail("opening the cgroup walk", errno);
  fresh->rodata->flush_cgroup = facts_.has_cgroup_flush;
  fresh->rodata->flush_css = facts_.has_css_flush;
  fresh->rodata->cpus = cpus_;
  fresh->rodata->page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  if (layout_) {
    fresh->rodata->stat_from = layout_->from_bytes;
    fresh->rodata->stat_bytes = layout_->bytes;
    for (std::size_t stat = 0; stat < SLUICE_STATS; ++stat) fresh->rodata->stat_at[stat] = layout_->at[stat];
  }
  if (skeleton_) fresh->bss->walk = skeleton_->bss->walk;  // the clock's offset is learned over several walks
  bpf_program* program = with_pressure ? fresh->progs.walk_with_pressure : fresh->progs.walk_without_pressure;
  bpf_program__set_autoload(
      with_pressure ? fresh->progs.walk_without_pressure : fresh->progs.walk_with_pressure, false);
  int failure = bpf_map__set_max_entries(fresh->maps.records, capacity);
  if (failure == 0) failure = bpf_map__set_max_entries(fresh->maps.tails, capacity);
  if (failure == 0)
    failure = bpf_map__set_value_size(fresh->maps.tails, static_cast<std::uint32_t>(tail_bytes_));
  if (failure == 0) failure = walk_bpf::load(fresh.get());
  if (failure != 0) return fail("loading the cgroup walk", -failure);

  bpf_iter_link_info where = {};
  where.cgroup.order = BPF_CGROUP_ITER_DESCENDANTS_PRE;
  where.cgroup.cgroup_fd =
      root_fd_ >= 0 ? static_cast<std::uint32_t>(root_fd_) : 0;  // 0: root of the hierarchy
  LIBBPF_OPTS(bpf_iter_attach_opts, attach, .link_info = &where, .link_info_len = sizeof(where));
  Link link(bpf_program__attach_iter(program, &attach));
  if (!link) return fail("attaching the cgroup walk", errno);

  Mapping records = map_array<sluice_record>(fresh->maps.records);
  Mapping tails(bpf_map__fd(fresh->maps.tails), tail_bytes_ * capacity);
  if (!records || !tails) return fail("mapping the cgroup walk's records", errno);

  link_ = std::move(link);
  records_ = std::move(records);
  tails_ = std::move(tails);
  skeleton_ = std::move(fresh);
  capacity_ = capacity;
  with_pressure_ = with_pressure;
  return {};
}

tl::expected<std::uint64_t, Error> Walker::run() {
  skeleton_->bss->walk.cgroups = 0;
  const Fd iterator(bpf_iter_create(bpf_link__fd(link_.get())));
  if (iterator.get() < 0) return tl::unexpected(make_error("starting a walk over the cgroups", errno));
  char nothing = 0;  // the program emits no text; one read() walks all
  ssize_t got = 0;
  do {
    got = ::read(iterator.get(), &nothing, sizeof(nothing));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return tl::unexpected(make_error("walking over the cgroups", errno));
  return skeleton_->bss->walk.cgroups;
}

tl::expected<std::span<const sluice_record>, Error> Walker::walk() {
  std::uint64_t cgroups = 0;
  for (int attempt = 0;; ++attempt) {
    auto met = run();
    if (!met) return tl::unexpected(std::move(met.error()));
    cgroups = *met;
    if (cgroups <= capacity_) break;
    if (cgroups > kCapacityMax || attempt == kWalkAttempts)
      return tl::unexpected(make_error("making room for " + std::to_string(cgroups) + " cgroups", E2BIG));
    auto loaded = load(static_cast<std::uint32_t>(std::bit_ceil(cgroups + cgroups / 4)), with_pressure_);
    if (!loaded) return tl::unexpected(std::move(loaded.error()));
    ++reloads_;
  }

  auto* records = reinterpret_cast<sluice_record*>(records_.writable());
  for (std::uint64_t i = 0; i < cgroups; ++i) {
    const std::byte* at = tails_.data() + i * tail_bytes_;
    const auto* cpus = reinterpret_cast<const sluice_psi_cpu*>(at + sizeof(sluice_walk_tail));
    freshener_.finish(records[i], *reinterpret_cast<const sluice_walk_tail*>(at), {cpus, cpus_});
  }
  freshener_.end_walk();
  return std::span<const sluice_record>(records, cgroups);
}

}  // namespace sluice::bpf
