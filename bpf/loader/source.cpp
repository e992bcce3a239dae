#include "bpf/loader/source.hpp"

#include <algorithm>
#include <cerrno>

#include "bpf/loader/flow_watch.hpp"
#include "bpf/loader/libbpf.hpp"
#include "bpf/loader/memory_watch.hpp"
#include "bpf/loader/run_queue_watch.hpp"
#include "bpf/loader/throttle_feed.hpp"
#include "bpf/loader/walker.hpp"
#include "bpf/loader/writer_watch.hpp"

namespace sluice::bpf {

namespace {
constexpr const char* kNoEvents = "throttling is seen at the next tick, and nothing else is counted";
}

struct Source::Impl {
  KernelFacts facts;
  std::string why_not;
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

  int os_error = 0;  // of the last failure

  void open_counting(const Options& options);
  template <typename Watch, typename... Arguments>
  void open_one(std::unique_ptr<Watch>& into, bool can, const char* consequence, Arguments&&... arguments);
  std::vector<Counting*> counting() const;
  std::optional<std::uint32_t> run_queue_slot(std::uint64_t cgroup_id) const;
  void note(const Error& error, const char* consequence);
};

void Source::Impl::note(const Error& error, const char* consequence) {
  os_error = error.os_error;
  if (!why_not.empty() && !why_not.ends_with(' ')) why_not += ' ';
  why_not += error.sentence + ": " + consequence + ". ";
}

// Opens one program, or reports the consequence. If the kernel lacks something, gaps() has already reported
// it.
template <typename Watch, typename... Arguments>
void Source::Impl::open_one(std::unique_ptr<Watch>& into, bool can, const char* consequence,
                            Arguments&&... arguments) {
  if (!can) return;
  auto opened = Watch::open(std::forward<Arguments>(arguments)...);
  if (opened)
    into = std::move(*opened);
  else
    note(opened.error(), consequence);
}

void Source::Impl::open_counting(const Options& options) {
  auto set = GovernedSet::create(options.governed_capacity);
  if (!set) return note(set.error(), kNoEvents);
  governed = std::move(*set);
  auto made = EventRing::create(options.ring_bytes);
  if (!made) return note(made.error(), kNoEvents);
  ring = std::move(*made);

  const EventFacts& events = facts.events;
  open_one(throttle, options.throttle && facts.has_throttle_hook, "throttling is seen at the next tick",
           options, events, *governed, *ring, why_not);
  open_one(run_queue, options.run_queue && events.has_switch_hook,
           "waiting for a CPU is not counted, and when a task last had nothing to run is not known",
           *governed);
  open_one(memory, options.memory_stall && events.has_memory_hook(), "stalls on memory are not counted",
           options, events, *governed, *ring, why_not);
  open_one(flow, options.flow && events.has_sockets(), "the tasks' sockets are not seen", options, events,
           *governed, why_not);
  open_one(writer, options.writer && events.has_write_hook, "external writers are not named", options,
           *governed, *ring);
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
  auto impl = std::make_unique<Impl>();
  impl->facts = probe_kernel();
  const KernelFacts& facts = impl->facts;
  for (const Gap& gap : gaps(facts)) impl->why_not += gap.sentence() + " ";
  const bool may_load = facts.has_cgroup2 && facts.has_btf && facts.has_capability;

  if (may_load && options.iterator && facts.has_cgroup_iterator) {
    if (auto walker = Walker::open(options, facts, impl->why_not))
      impl->walker = std::move(*walker);
    else
      impl->note(walker.error(), "cgroups are read through files");
  }
  if (may_load) impl->open_counting(options);
  while (impl->why_not.ends_with(' ')) impl->why_not.pop_back();
  if (!impl->walker && impl->counting().empty()) {
    if (impl->why_not.empty()) impl->why_not = "No kernel program was asked for.";
    return tl::unexpected(Error{impl->why_not, impl->os_error});
  }
  return Source(std::move(impl));
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
      impl.note(passed.error(), "the tasks' sockets are no longer seen");
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
