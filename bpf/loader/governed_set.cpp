#include "bpf/loader/governed_set.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <numeric>
#include <unordered_set>

namespace sluice::bpf {
namespace {

// Cgroups whose slot is remembered: twice as many as a large host has, 90 bytes each.
constexpr std::uint32_t kKnown = 16384;

}  // namespace

GovernedSet::GovernedSet(std::uint32_t capacity) : capacity_(capacity), free_(capacity) {
  std::iota(free_.begin(), free_.end(), 0u);
}

tl::expected<std::unique_ptr<GovernedSet>, Error> GovernedSet::create(std::uint32_t capacity) {
  std::unique_ptr<GovernedSet> set(new GovernedSet(capacity));
  LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
  set->governed_ = Fd(bpf_map_create(BPF_MAP_TYPE_HASH, "governed", sizeof(std::uint64_t),
                                     sizeof(std::uint32_t), capacity, nullptr));
  set->known_ = Fd(bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "known", sizeof(std::uint64_t), sizeof(sluice_known),
                                  kKnown, nullptr));
  set->set_ = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "governed_set", sizeof(std::uint32_t),
                                sizeof(sluice_governed_set), 1, &mapped));
  for (const Fd* map : {&set->governed_, &set->known_, &set->set_})
    if (map->get() < 0) return tl::unexpected(make_error("making the map of governed cgroups", errno));
  set->set_memory_ = Mapping(set->set_.get(), sizeof(sluice_governed_set), PROT_READ | PROT_WRITE);
  if (!set->set_memory_) return tl::unexpected(make_error("mapping the set of governed cgroups", errno));
  return set;
}

int GovernedSet::share_with(bpf_object* object) const {
  const std::pair<const char*, int> maps[] = {
      {"governed", governed_.get()}, {"known", known_.get()}, {"governed_set", set_.get()}};
  for (const auto& [name, fd] : maps) {
    bpf_map* map = bpf_object__find_map_by_name(object, name);
    if (map == nullptr) continue;
    if (const int failure = bpf_map__reuse_fd(map, fd); failure != 0) return failure;
  }
  return 0;
}

// Invalidates what the programs remembered.
void GovernedSet::announce() {
  auto* set = reinterpret_cast<sluice_governed_set*>(set_memory_.writable());
  std::atomic_ref(set->cgroups).store(static_cast<std::uint32_t>(members_.size()));
  std::atomic_ref(set->generation).fetch_add(1);
}

tl::expected<void, Error> GovernedSet::replace(std::span<const std::uint64_t> cgroup_ids,
                                               const Restart& restart) {
  std::unordered_set<std::uint64_t> wanted(cgroup_ids.begin(), cgroup_ids.end());
  if (wanted.size() > capacity_)
    return tl::unexpected(make_error("watching " + std::to_string(wanted.size()) + " cgroups, of " +
                                         std::to_string(capacity_) + " that there is room for",
                                     E2BIG));
  const auto leave = [&](const Member& member) {
    if (wanted.erase(member.cgroup_id) != 0) return false;
    bpf_map_delete_elem(governed_.get(), &member.cgroup_id);  // cannot fail: only we delete
    free_.push_back(member.slot);
    return true;
  };
  std::erase_if(members_, leave);
  announce();  // before a slot gets another cgroup

  Error failed;
  for (const std::uint64_t id : wanted) {
    const Member member{id, free_.front()};
    restart(member);
    if (bpf_map_update_elem(governed_.get(), &id, &member.slot, BPF_ANY) != 0) {
      failed = make_error("watching " + std::to_string(cgroup_ids.size()) + " cgroups", errno);
      break;
    }
    free_.pop_front();
    members_.push_back(member);
  }
  std::sort(members_.begin(), members_.end(),
            [](const Member& a, const Member& b) { return a.cgroup_id < b.cgroup_id; });
  announce();
  if (!failed.sentence.empty()) return tl::unexpected(std::move(failed));
  return {};
}

}  // namespace sluice::bpf
