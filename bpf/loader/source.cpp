#include "bpf/loader/source.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <type_traits>

#include "bpf/loader/flow_watch.hpp"
#include "bpf/loader/libbpf.hpp"
#include "bpf/loader/memory_watch.hpp"
#include "bpf/loader/run_queue_watch.hpp"
#include "bpf/loader/shortfall.hpp"
#include "bpf/loader/throttle_feed.hpp"
#include "bpf/loader/walker.hpp"
#include "bpf/loader/writer_watch.hpp"

namespace sluice::bpf {

namespace {
constexpr const char* kNoEvents = "throttling is seen at the next tick, and nothing else is counted";
}

struct Source::Impl {
  // Parts that are loaded independently.
  enum Part : std::size_t { kGaps, kWalk, kShared, kThrottle, kRunQueue, kMemory, kFlow, kWriter, kParts };

  explicit Impl(const Options& wanted) : options(wanted), facts(probe_kernel()) {}

  Options options;
  KernelFacts facts;
  std::array<Shortfall, kParts> missing;
  std::array<bool, kParts> tried{};
  std::string why_not;  // of all parts
  std::unique_ptr<Walker> walker;
  std::unique_ptr<GovernedSet> governed;
  std::unique_ptr<EventRing> ring;
  std::unique_ptr<ThrottleFeed> throttle;
  std::unique_ptr<RunQueueWatch> run_queue;
  std::unique_ptr<MemoryWatch> memory;
  std::unique_ptr<FlowWatch> flow;
  std::unique_ptr<WriterWatch> writer;
  std::vector<sluice_counters> counters;
  Stats stats;

  bool load();
  bool is_due(Part part) const { return !tried[part] || missing[part].may_pass(); }
  bool load_shared();
  template <typename What, typename Open>
  bool load_part(Part part, std::unique_ptr<What>& into, bool can, const char* consequence, Open open);
  void say_why_not();
  std::vector<Counting*> counting() const;
  std::optional<std::uint32_t> run_queue_slot(std::uint64_t cgroup_id) const;
};

void Source::Impl::say_why_not() {
  why_not.clear();
  for (const Shortfall& part : missing) {
    if (!why_not.empty() && !part.empty()) why_not += ' ';
    why_not += part.text();
  }
}

// Opens one part, or reports the consequence. If the kernel lacks something, gaps() has already reported it.
// An incomplete part is replaced only by one that lacks nothing but what the kernel lacks. True: more is
// loaded than before.
template <typename What, typename Open>
bool Source::Impl::load_part(Part part, std::unique_ptr<What>& into, bool can, const char* consequence,
                             Open open) {
  if (!can || !is_due(part)) return false;
  tried[part] = true;
  Shortfall lacks;
  auto opened = open(lacks);
  if (into && (!opened || lacks.may_pass())) return false;
  if (!opened) lacks.add(opened.error(), consequence);
  missing[part] = std::move(lacks);
  if (!opened) return false;
  into = std::move(*opened);
  if constexpr (std::is_base_of_v<Counting, What>) {
    for (const GovernedSet::Member& member : governed->members()) into->restart(member);
  }
  return true;
}

// Loads what all counting programs share.
bool Source::Impl::load_shared() {
  if (!is_due(kShared)) return ring != nullptr;
  tried[kShared] = true;
  missing[kShared] = {};
  const auto fail = [&](const Error& error) {
    missing[kShared].add(error, kNoEvents);
    return false;
  };
  auto set = GovernedSet::create(options.governed_capacity);
  if (!set) return fail(set.error());
  auto made = EventRing::create(options.ring_bytes);
  if (!made) return fail(made.error());
  governed = std::move(*set);
  ring = std::move(*made);
  return true;
}

// Loads all parts that were not tried yet or failed temporarily. True: more is loaded than before.
bool Source::Impl::load() {
  if (!tried[kGaps]) {
    tried[kGaps] = true;
    for (const Gap& gap : gaps(facts)) missing[kGaps].add(gap.sentence(), facts.probe_error);
  }
  bool more = false;
  if (facts.has_cgroup2 && facts.has_btf && facts.has_capability) {
    more |= load_part(kWalk, walker, options.iterator && facts.has_cgroup_iterator,
                      "cgroups are read through files",
                      [&](Shortfall& lacks) { return Walker::open(options, facts, lacks); });
    if (load_shared()) {
      const EventFacts& events = facts.events;
      more |= load_part(kThrottle, throttle, options.throttle && facts.has_throttle_hook,
                        "throttling is seen at the next tick", [&](Shortfall& lacks) {
                          return ThrottleFeed::open(options, events, *governed, *ring, lacks);
                        });
      more |=
          load_part(kRunQueue, run_queue, options.run_queue && events.has_switch_hook,
                    "waiting for a CPU is not counted, and when a task last had nothing to run is not known",
                    [&](Shortfall&) { return RunQueueWatch::open(*governed); });
      more |= load_part(kMemory, memory, options.memory_stall && events.has_memory_hook(),
                        "stalls on memory are not counted", [&](Shortfall& lacks) {
                          return MemoryWatch::open(options, events, *governed, *ring, lacks);
                        });
      more |= load_part(kFlow, flow, options.flow && events.has_sockets(), "the tasks' sockets are not seen",
                        [&](Shortfall& lacks) { return FlowWatch::open(options, events, *governed, lacks); });
      more |= load_part(kWriter, writer, options.writer && events.has_write_hook,
                        "external writers are not named",
                        [&](Shortfall&) { return WriterWatch::open(options, *governed, *ring); });
    }
  }
  say_why_not();
  return more;
}

std::vector<Counting*> Source::Impl::counting() const {
  std::vector<Counting*> all;
  for (Counting* one : std::initializer_list<Counting*>{throttle.get(), run_queue.get(), memory.get(),
                                                        flow.get(), writer.get()})
    if (one != nullptr) all.push_back(one);
  return all;
}

Source::Source(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Source::Source(Source&&) noexcept = default;
Source& Source::operator=(Source&&) noexcept = default;
Source::~Source() = default;

tl::expected<Source, Error> Source::open(const Options& options) {
  auto impl = std::make_unique<Impl>(options);
  impl->load();
  if (!impl->walker && impl->counting().empty()) {
    Shortfall all;
    for (const Shortfall& part : impl->missing)
      if (!part.empty()) all.add(part.text(), part.os_error());
    if (all.empty()) all.add("No kernel program was asked for.");
    return tl::unexpected(Error{all.text(), all.os_error()});
  }
  return Source(std::move(impl));
}

bool Source::incomplete() const {
  return std::any_of(impl_->missing.begin(), impl_->missing.end(),
                     [](const Shortfall& part) { return part.may_pass(); });
}
bool Source::mend() {
  return impl_->load();
}
bool Source::has_iterator() const {
  return impl_->walker != nullptr;
}
bool Source::has_throttle() const {
  return impl_->throttle != nullptr;
}
bool Source::has_flow() const {
  return impl_->flow != nullptr;
}
bool Source::has_writer() const {
  return impl_->writer != nullptr;
}
const std::string& Source::why_not() const {
  return impl_->why_not;
}
const KernelFacts& Source::facts() const {
  return impl_->facts;
}

tl::expected<std::span<const sluice_record>, Error> Source::read() {
  if (!impl_->walker) return tl::unexpected(Error{"the cgroup walk is not loaded", ENOTSUP});
  const auto began = std::chrono::steady_clock::now();
  auto records = impl_->walker->walk();
  if (!records) return records;
  Stats& stats = impl_->stats;
  ++stats.walks;
  stats.walk_ns =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - began).count());
  stats.cgroups = records->size();
  return records;
}

int Source::events_fd() const {
  return impl_->throttle || impl_->memory || impl_->writer ? impl_->ring->fd() : -1;
}

tl::expected<std::size_t, Error> Source::drain(const EventHandler& events, const WriteHandler& writes) {
  if (events_fd() < 0) return tl::unexpected(Error{"no program that has events is loaded", ENOTSUP});
  return impl_->ring->drain(events, writes);
}

tl::expected<void, Error> Source::set_governed(std::span<const std::uint64_t> cgroup_ids) {
  if (!impl_->governed) return {};  // no program would use it
  const auto counting = impl_->counting();
  return impl_->governed->replace(cgroup_ids, [&](GovernedSet::Member member) {
    for (Counting* one : counting) one->restart(member);
  });
}

std::span<const sluice_counters> Source::counters() {
  Impl& impl = *impl_;
  impl.counters.clear();
  if (!impl.governed) return {};
  const auto members = impl.governed->members();
  if (impl.flow) {
    if (const auto passed = impl.flow->pass(members); !passed) {
      impl.missing[Impl::kFlow].add(passed.error(), "the tasks' sockets are no longer seen");
      impl.say_why_not();
      impl.flow.reset();
    }
  }
  const auto counting = impl.counting();
  impl.counters.reserve(members.size());
  for (const auto& member : members) {
    sluice_counters& counters = impl.counters.emplace_back();
    counters.cgroup_id = member.cgroup_id;
    counters.slot = member.slot;
    for (Counting* one : counting) one->fill(counters);
  }
  return impl.counters;
}

std::optional<std::uint32_t> Source::Impl::run_queue_slot(std::uint64_t cgroup_id) const {
  if (!run_queue) return std::nullopt;
  const auto members = governed->members();
  const auto found =
      std::lower_bound(members.begin(), members.end(), cgroup_id,
                       [](const GovernedSet::Member& m, std::uint64_t id) { return m.cgroup_id < id; });
  if (found == members.end() || found->cgroup_id != cgroup_id) return std::nullopt;
  return found->slot;
}

std::uint64_t Source::idle_until(std::uint64_t cgroup_id, std::uint64_t at_ktime_ns) const {
  const auto slot = impl_->run_queue_slot(cgroup_id);
  return slot ? impl_->run_queue->idle_until(*slot, at_ktime_ns) : 0;
}

std::uint32_t Source::awake_threads(std::uint64_t cgroup_id) const {
  const auto slot = impl_->run_queue_slot(cgroup_id);
  return slot ? impl_->run_queue->awake_threads(*slot) : 0;
}

std::vector<std::string> Source::capabilities() const {
  std::vector<std::string> names;
  if (impl_->walker) names.emplace_back("bpf-iterator");
  if (impl_->throttle) names.emplace_back("bpf-throttle-events");
  if (impl_->throttle && impl_->throttle->has_durations()) names.emplace_back("bpf-throttle");
  if (impl_->run_queue) names.emplace_back("bpf-runqueue");
  if (impl_->memory) names.emplace_back("bpf-memstall");
  if (impl_->flow) names.emplace_back("bpf-flow");
  if (impl_->writer) names.emplace_back("bpf-writer");
  return names;
}

std::vector<Program> Source::programs() const {
  std::vector<Program> all;
  if (impl_->walker) impl_->walker->append_programs(all);
  for (const Counting* one : impl_->counting()) append_programs(one->object(), all);
  return all;
}

Stats Source::stats() const {
  Stats stats = impl_->stats;
  if (impl_->walker) stats.reloads = impl_->walker->reloads();
  if (impl_->ring) stats.events = impl_->ring->delivered();
  if (impl_->throttle) stats.throttles = impl_->throttle->throttles();
  for (const Counting* one : impl_->counting()) {
    const Swallowed swallowed = one->swallowed();
    stats.suppressed += swallowed.suppressed;
    stats.lost_events += swallowed.lost;
  }
  if (impl_->flow) {
    stats.flow_passes = impl_->flow->passes();
    stats.flow_pass_ns = impl_->flow->pass_ns();
    stats.flow_sockets = impl_->flow->sockets_met();
    stats.flow_lost = impl_->flow->sockets_lost();
  }
  return stats;
}

}  // namespace sluice::bpf
