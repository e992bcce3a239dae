// The loop's part about kernel programs: their events, who wrote what, and what becomes of the programs
// themselves.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "daemon/process/clock.hpp"
#include "daemon/run/loop.hpp"
#include "daemon/sample/counters_sampler.hpp"

namespace sluice {
namespace {

using boost::asio::posix::stream_descriptor;

}  // namespace

// An event does not wait for the rest of a tick: this is called wherever a tick has a seam.
void Loop::react() {
  if (!events_ready_) return;
  std::vector<ThrottleEvent> events;
  const auto on_event = [&](const sluice_event& e) {
    const auto at = since_boot_nsec(e.at_ktime_ns);
    if (e.kind == SLUICE_EVENT_THROTTLED) {
      auto& event = events.emplace_back(ThrottleEvent{CgroupId{e.cgroup_id}, at, e.cpu});
      if (const auto until = host_.bpf()->idle_until(e.cgroup_id, e.at_ktime_ns))
        event.idle_until = since_boot_nsec(until);
      if (const auto awake = host_.bpf()->awake_threads(e.cgroup_id)) event.runnable_threads = awake;
    }
    if (e.kind == SLUICE_EVENT_OOM_KILL) on_oom_kill(CgroupId{e.cgroup_id});
  };
  const auto on_write = [&](const sluice_write_event& e) {
    writes_seen_.push_back({CgroupId{e.event.cgroup_id}, sample::knob_of(e),
                            since_boot_nsec(e.event.at_ktime_ns), sample::writer_of(e)});
  };
  const auto drained = host_.bpf()->drain(on_event, on_write);
  if (!drained) {
    events_ready_.reset();
    ++listening_;
    host_.lose_bpf(drained.error().sentence);
    follow_bpf();
    return;
  }
  if (!events.empty()) event_tick(std::move(events));
}

void Loop::on_oom_kill(CgroupId id) {
  oom_killed_ = true;
  const auto* task = engine_.registry().find(id);
  if (!task) return;
  log_.say(publish::LogPublisher::Source::oom_kill, spdlog::level::warn, task->name,
           "the kernel killed one of its processes for memory", monotonic_now());
}

void Loop::on_bpf_events() {
  events_ready_->async_wait(stream_descriptor::wait_read, [this, listening = listening_](auto error) {
    if (error || listening != listening_) return;
    react();
    publish_reports();
    // An OOM kill calls for a full tick, unless the last one is so recent that rates would mean nothing.
    if (oom_killed_ && monotonic_now() >= ticked_at_ + engine_.config().node.tick / 4) full_tick();
    if (listening == listening_) on_bpf_events();
  });
}

// A write of ours that an external writer undid is noticed by its value; who it was, only the kernel can
// tell.
void Loop::name_writers(Report& report) {
  for (auto& notice : report.notices) {
    if (notice.kind != Notice::Kind::foreign_write && notice.kind != Notice::Kind::knob_reset) continue;
    if (!notice.found) continue;
    const Knob knob = knob_of(*notice.found);
    for (const auto& write : writes_seen_)  // the last one is the one that was found
      if (write.id == notice.id && write.knob == knob) notice.writer = write.writer;
    std::erase_if(writes_seen_, [&](const WriteSeen& w) { return w.id == notice.id && w.knob == knob; });
  }
}

// The kernel programs count and report governed cgroups only.
void Loop::watch_tasks() {
  if (!host_.bpf()) return;
  std::vector<std::uint64_t> ids;
  for (const auto& [id, facts] : engine_.registry().tasks()) ids.push_back(id.value);
  if (const auto set = host_.bpf()->set_governed(ids); !set)
    log_.say(publish::LogPublisher::Source::engine, spdlog::level::err, {},
             "The kernel programs do not watch new tasks: " + set.error().sentence, monotonic_now());
}

// Events of the kernel programs that are loaded now.
void Loop::listen_to_bpf() {
  events_ready_.reset();
  ++listening_;
  if (!host_.bpf() || host_.bpf()->events_fd() < 0) return;
  events_ready_.emplace(io_, ::fcntl(host_.bpf()->events_fd(), F_DUPFD_CLOEXEC, 0));
  on_bpf_events();
}

// Programs that fail are tried again, by the host; true: they are others now, and know of no task or not of
// all.
bool Loop::follow_bpf() {
  bool reopened = false;
  for (const auto& news : host_.take_bpf_news()) {
    spdlog::log(news.good ? spdlog::level::info : spdlog::level::err, "{}", news.sentence);
    options_.sampling_reason = news.why_not;
    reopened |= news.reopened;
  }
  if (reopened) listen_to_bpf();
  return reopened;
}

}  // namespace sluice
