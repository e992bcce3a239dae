#include "bpf/loader/flow_watch.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "bpf/flow.skel.h"
#include "bpf/loader/shared_memory.hpp"

namespace sluice::bpf {
namespace {

constexpr std::uint64_t kLongestPauseNs = 2'000'000'000;  // longest pause between passes
constexpr std::uint64_t kLookPauseNs = 5'000'000'000;     // pause between checks for other network namespaces

}  // namespace

void FlowWatch::SkeletonDeleter::operator()(flow_bpf* skeleton) const {
  flow_bpf::destroy(skeleton);
}
FlowWatch::~FlowWatch() = default;

tl::expected<std::unique_ptr<FlowWatch>, Error> FlowWatch::open(const Options& options,
                                                                const EventFacts& facts,
                                                                const GovernedSet& governed,
                                                                Shortfall& lacks) {
  LogCapture log;
  const auto fail = [&](const char* what, int os_error) {
    return tl::unexpected(make_error(what, os_error, log.text()));
  };
  struct stat network = {};
  if (stat("/proc/self/ns/net", &network) != 0) return fail("looking at /proc/self/ns/net", errno);

  std::unique_ptr<FlowWatch> watch(new FlowWatch(options.flow_share));
  watch->skeleton_.reset(flow_bpf::open());
  flow_bpf* skeleton = watch->skeleton_.get();
  if (!skeleton) return fail("opening the socket programs", errno);
  skeleton->rodata->own_network = static_cast<std::uint32_t>(network.st_ino);
  bpf_program__set_autoload(skeleton->progs.on_accept_4, facts.accept_arguments == 4);
  bpf_program__set_autoload(skeleton->progs.on_accept_2, facts.accept_arguments == 2);
  bpf_program__set_autoload(skeleton->progs.visit_task, facts.has_task_iterator);
  int failure = governed.share_with(skeleton->obj);
  if (failure == 0) failure = bpf_map__set_max_entries(skeleton->maps.flows, governed.capacity());
  if (failure == 0) failure = flow_bpf::load(skeleton);
  if (failure != 0) return fail("loading the socket programs", -failure);

  watch->slots_ = map_array<sluice_flow_slot>(skeleton->maps.flows);
  if (!watch->slots_) return fail("mapping the sockets' counters", errno);
  watch->state_link_.reset(bpf_program__attach(skeleton->progs.on_state));
  if (!watch->state_link_) return fail("attaching to inet_sock_set_state", errno);
  watch->sockets_link_.reset(bpf_program__attach_iter(skeleton->progs.visit_socket, nullptr));
  if (!watch->sockets_link_) return fail("attaching the walk over the sockets", errno);

  if (facts.accept_arguments != 0) {
    watch->accept_link_.reset(bpf_program__attach(facts.accept_arguments == 4 ? skeleton->progs.on_accept_4
                                                                              : skeleton->progs.on_accept_2));
  }
  if (!watch->accept_link_)
    lacks.add(
        "inet_csk_accept() cannot be traced: an accepted connection counts for the cgroup that made the "
        "listening socket.",
        facts.accept_arguments != 0 ? errno : 0);
  if (facts.has_task_iterator)
    watch->tasks_link_.reset(bpf_program__attach_iter(skeleton->progs.visit_task, nullptr));
  if (!watch->tasks_link_)
    lacks.add("Tasks in other network namespaces are not recognized: their sockets are not seen.",
              facts.has_task_iterator ? errno : 0);
  return watch;
}

sluice_flow_slot& FlowWatch::slot(std::uint32_t index) {
  return reinterpret_cast<sluice_flow_slot*>(slots_.writable())[index];
}

void FlowWatch::restart(GovernedSet::Member member) {
  sluice_flow_slot& fresh = slot(member.slot);
  fresh = {};
  fresh.cgroup_id = member.cgroup_id;
  fresh.governed_at_ns = monotonic_ns();
  any_restarted_ = true;
}

tl::expected<void, Error> FlowWatch::run(bpf_link* iterator, const char* what) const {
  const Fd walk(bpf_iter_create(bpf_link__fd(iterator)));
  if (walk.get() < 0) return tl::unexpected(make_error(what, errno));
  char nothing = 0;  // the programs emit no text; one read() visits all of them
  ssize_t got = 0;
  do {
    got = ::read(walk.get(), &nothing, sizeof(nothing));
  } while (got < 0 && (errno == EINTR || errno == EAGAIN));
  if (got < 0) return tl::unexpected(make_error(what, errno));
  return {};
}

tl::expected<void, Error> FlowWatch::pass(std::span<const GovernedSet::Member> members) {
  if (members.empty()) return {};
  const std::uint64_t began = monotonic_ns();
  sluice_flow_state& state = skeleton_->bss->flow;
  // Done before the pass: a cgroup must not show flow data that the check would call unknown.
  if (tasks_link_ && (any_restarted_ || began >= look_due_ns_)) {
    ++state.look;
    if (auto looked = run(tasks_link_.get(), "looking at the tasks' network namespaces"); !looked)
      return looked;
    look_due_ns_ = began + kLookPauseNs;
  }
  if (began < due_ns_ && !any_restarted_) return {};
  ++state.pass;
  state.met = 0;
  state.at_ns = began;
  if (auto visited = run(sockets_link_.get(), "walking over the TCP sockets"); !visited) return visited;
  for (const auto& member : members) slot(member.slot).primed = 1;
  any_restarted_ = false;
  ++passes_;
  pass_ns_ = monotonic_ns() - began;
  const auto pause = static_cast<std::uint64_t>(static_cast<double>(pass_ns_) / share_);
  due_ns_ = began + std::min(pause, kLongestPauseNs);
  return {};
}

void FlowWatch::fill(sluice_counters& counters) {
  const sluice_flow_slot& from = slot(counters.slot);
  const sluice_flow_state& state = skeleton_->bss->flow;
  if (from.primed == 0 || (tasks_link_ && from.elsewhere == state.look)) return;
  sluice_flow& flow = counters.flow;
  flow.at_ktime_ns = state.at_ns;
  const bool has_sockets = from.pass == state.pass;
  flow.sockets = has_sockets ? from.sockets : 0;
  flow.unread_bytes = has_sockets ? from.unread_bytes : 0;
  flow.unsent_bytes = has_sockets ? from.unsent_bytes : 0;
  flow.received_bytes = load(from.received_bytes);
  flow.sent_bytes = load(from.sent_bytes);
  flow.zero_window_ns = load(from.zero_window_ns);
  counters.valid |= SLUICE_COUNTS_FLOW;
}

std::uint64_t FlowWatch::sockets_met() const {
  return skeleton_->bss->flow.met;
}
std::uint64_t FlowWatch::sockets_lost() const {
  return load(skeleton_->bss->flow.lost);
}
bpf_object* FlowWatch::object() const {
  return skeleton_->obj;
}

}  // namespace sluice::bpf
