#include "daemon/run/cgroup_host.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "daemon/sample/bpf_sampler.hpp"
#include "daemon/sample/counters_sampler.hpp"
#include "daemon/sample/file_sampler.hpp"
#include "daemon/sample/node.hpp"

namespace sluice {
namespace {

constexpr auto kSwapInterval = std::chrono::seconds(1);
constexpr std::uint64_t kLookAgainAfter = 16;  // samples, at a file that was not there

}  // namespace

CgroupHost::CgroupHost(cgroups::Root root, Options options)
    : root_(std::move(root)),
      options_(std::move(options)),
      actuator_(std::make_shared<actuate::CgroupfsWriter>()) {}

cgroups::Result<cgroups::Walk> CgroupHost::walk() {
  return cgroups::walk(root_);
}

cgroups::Result<void> CgroupHost::open(CgroupId id, const std::string& path) {
  auto opened = cgroups::Cgroup::open(root_, path);
  if (!opened) return tl::unexpected(opened.error());
  if ((*opened)->id() != id) return tl::unexpected(cgroups::Error{ENOENT, path, "find the same cgroup at"});
  opened_[id] = {std::move(*opened)};
  return {};
}

bool CgroupHost::alive(CgroupId id) {
  const auto found = opened_.find(id);
  return found != opened_.end() && found->second.cgroup->alive();
}

void CgroupHost::close(CgroupId id) {
  opened_.erase(id);
}

std::optional<Bytes> CgroupHost::host_swap() {
  if (const auto now = options_.clock(); now >= swap_at_) {
    const auto free = sample::host_swap_free(options_.proc_fd);
    swap_free_ = free ? std::optional(*free) : std::nullopt;
    swap_at_ = now + kSwapInterval;
  }
  return swap_free_;
}

std::vector<std::optional<Sample>> CgroupHost::sample(std::span<const CgroupId> ids) {
  std::vector<std::optional<Sample>> out(ids.size());
  ++samples_;
  if (!sample_by_bpf(ids, out)) {
    const auto swap = host_swap();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto found = opened_.find(ids[i]);
      if (found == opened_.end()) continue;
      if (auto one = sample::sample_files(*found->second.cgroup, options_.clock(), swap)) out[i] = *one;
    }
  }
  add_counters(ids, out);
  return out;
}

// One walk of the kernel's iterator for all of them.
bool CgroupHost::sample_by_bpf(std::span<const CgroupId> ids, std::vector<std::optional<Sample>>& out) {
  if (!options_.bpf || !options_.bpf->has_iterator()) return false;
  const auto records = options_.bpf->read();
  if (!records) {
    bpf_failure_ = records.error().sentence;
    lose_bpf();
    return false;
  }
  const auto swap = host_swap();
  tree_stamp_ = 1;
  for (const auto& record : *records) {
    tree_stamp_ += record.cgroup_id * 0x9e3779b97f4a7c15ULL;  // whatever the order
    const CgroupId id{record.cgroup_id};
    const auto place = std::lower_bound(ids.begin(), ids.end(), id);
    if (place == ids.end() || *place != id) continue;
    const auto found = opened_.find(id);
    if (found == opened_.end()) continue;
    auto& opened = found->second;
    const bool look = (samples_ + id.value) % kLookAgainAfter == 0;
    auto one = sample::complete(record, *opened.cgroup, swap,
                                {!look && opened.cpu_absent, !look && opened.memory_absent});
    opened.cpu_absent = one.cpu_max_absent;
    opened.memory_absent = one.memory_high_absent;
    out[static_cast<std::size_t>(place - ids.begin())] = one;
  }
  return true;
}

// What only the kernel programs tell, whatever the samples are from. Both lists are by cgroup id.
void CgroupHost::add_counters(std::span<const CgroupId> ids, std::vector<std::optional<Sample>>& out) {
  if (!options_.bpf) return;
  std::size_t i = 0;
  for (const auto& counters : options_.bpf->counters()) {
    while (i < ids.size() && ids[i].value < counters.cgroup_id) ++i;
    if (i == ids.size()) return;
    if (ids[i].value == counters.cgroup_id && out[i]) sample::add_counters(counters, *out[i]);
  }
}

void CgroupHost::submit(std::vector<Write> orders) {
  std::vector<actuate::Order> at_hand;
  for (const auto& w : orders) {
    if (const auto found = opened_.find(w.id); found != opened_.end()) {
      at_hand.push_back({w, found->second.cgroup});
      continue;
    }
    Receipt r;
    r.id = w.id;
    r.knob = w.knob;
    r.asked = w.value;
    r.result = Receipt::Result::not_tried;
    r.error_number = ENOENT;
    r.started_at = r.finished_at = options_.clock();
    r.caused_at = w.caused_at;
    refused_.push_back(std::move(r));
  }
  if (!at_hand.empty()) actuator_.submit(std::move(at_hand));
}

std::vector<Receipt> CgroupHost::receipts() {
  auto out = std::exchange(refused_, {});
  for (auto& r : actuator_.drain()) out.push_back(std::move(r));
  return out;
}

}  // namespace sluice
