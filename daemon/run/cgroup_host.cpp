#include "daemon/run/cgroup_host.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "daemon/sample/bpf_sampler.hpp"
#include "daemon/sample/counters_sampler.hpp"
#include "daemon/sample/file_sampler.hpp"
#include "daemon/sample/node.hpp"
#include "daemon/sample/read_stat.hpp"

namespace sluice {
namespace {

constexpr auto kSwapInterval = std::chrono::seconds(1);
constexpr auto kWeightInterval = std::chrono::seconds(1);  // it is seldom written, by anybody
constexpr auto kFrozenInterval = std::chrono::seconds(1);
constexpr std::uint64_t kLookAgainAfter = 16;  // samples, at a file that was not there
constexpr std::uint32_t kReloadAfter = 2;      // failures in a row: what is loaded will not do

std::string without_stop(std::string sentences) {
  while (sentences.ends_with('.')) sentences.pop_back();
  return sentences;
}

// "12 s and 3 failures"
std::string lasted(const sample::Retry& retry, MonotonicTime now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - retry.since()).count();
  return std::to_string(seconds) + " s and " + std::to_string(retry.failures()) +
         (retry.failures() == 1 ? " failure" : " failures");
}

}  // namespace

CgroupHost::CgroupHost(cgroups::Root root, Options options)
    : root_(std::move(root)),
      options_(std::move(options)),
      actuator_(std::make_shared<actuate::CgroupfsWriter>()),
      walks_(options_.bpf && options_.bpf->has_iterator()),
      ever_(options_.bpf != nullptr) {
  if (options_.bpf_failure) bpf_failed(options_.clock(), options_.bpf_failure->sentence);
}

cgroups::Result<cgroups::Walk> CgroupHost::walk() {
  return cgroups::walk(root_);
}

cgroups::Result<void> CgroupHost::open(CgroupId id, const std::string& path) {
  auto opened = cgroups::Cgroup::open(root_, path);
  if (!opened) return tl::unexpected(opened.error());
  if ((*opened)->id() != id) return tl::unexpected(cgroups::Error{ENOENT, path, "find the same cgroup at"});
  Opened one;
  one.cgroup = std::move(*opened);
  one.ancestors = ancestors_.of(path);
  opened_[id] = std::move(one);
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
    samples_by_files_ += ids.size();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto found = opened_.find(ids[i]);
      if (found == opened_.end()) continue;
      if (auto one = sample::sample_files(*found->second.cgroup, options_.clock(), swap)) out[i] = *one;
    }
  }
  add_counters(ids, out);
  for (auto& one : out) {
    if (!one) continue;
    auto& opened = opened_.at(one->id);
    sample::Ancestors::apply(opened.ancestors, root_, one->read_at, *one);
    look_for_frost(opened, *one);
    read_weight(opened, *one);
  }
  return out;
}

// A frozen task uses no CPU, so only one that used none is asked: at once, and then once a second. One that
// runs again is no longer frozen.
void CgroupHost::look_for_frost(Opened& opened, Sample& sample) {
  const auto used = sample.cpu ? std::optional(sample.cpu->usage) : std::nullopt;
  if (!used || opened.used != used) {
    opened.frozen_at = {};
    opened.frozen = false;
  } else if (opened.frozen_at == MonotonicTime{} || sample.read_at >= opened.frozen_at + kFrozenInterval) {
    opened.frozen_at = sample.read_at;
    opened.frozen = opened.cgroup->read_frozen().value_or(false);
  }
  opened.used = used;
  sample.frozen = opened.frozen;
}

// In between it is unknown, which changes nothing.
void CgroupHost::read_weight(Opened& opened, Sample& sample) {
  if (opened.weight_at != MonotonicTime{} && sample.read_at < opened.weight_at + kWeightInterval) return;
  opened.weight_at = sample.read_at;
  sample::read_knob(opened.cgroup->read_cpu_weight(), sample.cpu_weight, sample.cpu_weight_absent);
}

bool CgroupHost::samples_by_bpf() const {
  return options_.bpf && options_.bpf->has_iterator() && retry_.failures() == 0;
}

std::uint64_t CgroupHost::lost_events() const {
  return lost_before_ + (options_.bpf ? options_.bpf->stats().lost_events : 0);
}

void CgroupHost::lose_bpf(const std::string& why) {
  lost_before_ = lost_events();
  options_.bpf.reset();
  bpf_failed(options_.clock(), why);
}

void CgroupHost::bpf_failed(MonotonicTime now, const std::string& why) {
  tree_stamp_ = 0;
  if (retry_.failures() == 0) {
    samples_by_files_ = 0;
    bpf_news_.push_back({false, false,
                         "The kernel programs failed: " + without_stop(why) +
                             ". Cgroups are read through files meanwhile; they are tried again.",
                         why});
  }
  retry_.failed(now);
}

void CgroupHost::bpf_works(MonotonicTime now) {
  if (retry_.failures() == 0) return;
  bpf_news_.push_back({true, reopened_,
                       "The kernel programs work " + std::string(ever_ ? "again" : "now") + ", after " +
                           lasted(retry_, now) + "; meanwhile " + std::to_string(samples_by_files_) +
                           " samples were read from files" +
                           (reopened_ ? ", and throttling was seen at ticks only." : "."),
                       options_.bpf->why_not()});
  reopened_ = false;
  ever_ = true;
  retry_.worked();
}

// A new set of programs in place of one that does not work.
bool CgroupHost::reopen_bpf(MonotonicTime now) {
  auto programs = options_.open_bpf ? options_.open_bpf()
                                    : tl::unexpected(bpf::Error{"they are not loaded again", ENOTSUP});
  // What worked once can work again; what never did may be missing for good.
  if (!programs && !ever_ && !bpf::may_pass(programs.error().os_error)) {
    retry_.worked();
    bpf_news_.push_back({false, false, programs.error().sentence, programs.error().sentence});
    return false;
  }
  if (!programs || (walks_ && !(*programs)->has_iterator())) {
    bpf_failed(now, programs ? (*programs)->why_not() : programs.error().sentence);
    return false;
  }
  lost_before_ = lost_events();
  options_.bpf = std::move(*programs);
  reopened_ = true;
  mending_.worked();
  return true;
}

// Those that are missing are tried again, beside those that work.
void CgroupHost::mend_bpf(MonotonicTime now) {
  auto& bpf = *options_.bpf;
  if (!bpf.incomplete()) return;
  if (mending_.failures() == 0) {  // this is when it is noticed; the next try is a second later
    bpf_news_.push_back(
        {false, false,
         "Some kernel programs failed: " + without_stop(bpf.why_not()) + ". They are tried again.",
         bpf.why_not()});
    return mending_.failed(now);
  }
  if (!mending_.due(now)) return;
  const bool more = bpf.mend();
  if (bpf.incomplete()) {
    mending_.failed(now);
    if (more) bpf_news_.push_back({true, true, "Some more kernel programs work now.", bpf.why_not()});
    return;
  }
  bpf_news_.push_back({true, true,
                       more
                           ? "All kernel programs work now, after " + lasted(mending_, now) + "."
                           : "Some kernel programs are not tried again: " + without_stop(bpf.why_not()) + ".",
                       bpf.why_not()});
  mending_.worked();
}

// Whether the programs may be asked: they have not failed, or it is time to try again.
bool CgroupHost::bpf_is_due() {
  const bool wanted = options_.bpf || retry_.failures() > 0;
  const auto now = options_.clock();
  if (!wanted || !retry_.due(now)) return false;
  if ((!options_.bpf || retry_.failures() >= kReloadAfter) && !reopen_bpf(now)) return false;
  mend_bpf(now);
  walks_ = walks_ || options_.bpf->has_iterator();
  if (!walks_) bpf_works(now);  // there is no walk to show it
  return walks_;
}

// One walk of the kernel's iterator for all of them.
bool CgroupHost::sample_by_bpf(std::span<const CgroupId> ids, std::vector<std::optional<Sample>>& out) {
  if (!bpf_is_due()) return false;
  const auto records = options_.bpf->read();
  if (!records) {
    bpf_failed(options_.clock(), records.error().sentence);
    return false;
  }
  bpf_works(options_.clock());
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
