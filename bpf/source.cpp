#include "bpf/source.hpp"

#include <cerrno>

#include "bpf/throttle_feed.hpp"
#include "bpf/walker.hpp"

namespace sluice::bpf {

struct Source::Impl {
  KernelFacts facts;
  std::string why_not;
  std::unique_ptr<Walker> walker;
  std::unique_ptr<ThrottleFeed> feed;
  Stats stats;
};

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

  int os_error = 0;
  const auto note = [&](const Error& error, const char* consequence) {
    os_error = error.os_error;
    impl->why_not += error.sentence + ": " + consequence + ". ";
  };
  if (may_load && options.iterator && facts.has_cgroup_iterator) {
    if (auto walker = Walker::open(options, facts, impl->why_not))
      impl->walker = std::move(*walker);
    else
      note(walker.error(), "cgroups are read through files");
  }
  if (may_load && options.throttle && facts.has_throttle_hook) {
    if (auto feed = ThrottleFeed::open(options))
      impl->feed = std::move(*feed);
    else
      note(feed.error(), "throttling is seen at the next tick");
  }
  while (impl->why_not.ends_with(' ')) impl->why_not.pop_back();
  if (!impl->walker && !impl->feed) {
    if (impl->why_not.empty()) impl->why_not = "Neither the iterator nor the throttle hook was asked for.";
    return tl::unexpected(Error{impl->why_not, os_error});
  }
  return Source(std::move(impl));
}

bool Source::has_iterator() const {
  return impl_->walker != nullptr;
}
bool Source::has_throttle() const {
  return impl_->feed != nullptr;
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
  return impl_->feed ? impl_->feed->fd() : -1;
}

tl::expected<std::size_t, Error> Source::drain(const EventHandler& handler) {
  if (!impl_->feed) return tl::unexpected(Error{"the throttle hook is not loaded", ENOTSUP});
  return impl_->feed->drain(handler);
}

tl::expected<void, Error> Source::set_governed(std::span<const std::uint64_t> cgroup_ids) {
  if (!impl_->feed) return {};  // nobody would hear of it
  return impl_->feed->set_governed(cgroup_ids);
}

Stats Source::stats() const {
  Stats stats = impl_->stats;
  if (impl_->walker) stats.reloads = impl_->walker->reloads();
  if (impl_->feed) {
    const sluice_throttle_counts counts = impl_->feed->counts();
    stats.throttles = counts.throttles;
    stats.suppressed = counts.suppressed;
    stats.lost_events = counts.lost;
    stats.events = impl_->feed->delivered();
  }
  return stats;
}

}  // namespace sluice::bpf
