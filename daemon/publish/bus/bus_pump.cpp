#include "daemon/publish/bus/bus_pump.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <ctime>
#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"

namespace sluice::publish {

namespace asio = boost::asio;

namespace {
// Of this thread: a busy host must not make a bus look costly.
TimeBudget::Clock::duration cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

int duplicate(int fd) {
  return ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
}
}  // namespace

std::chrono::duration<double> TimeBudget::left(Clock::time_point now) const {
  return at_ ? std::min<std::chrono::duration<double>>(kAtOnce, left_ + kShare * (now - *at_)) : kAtOnce;
}

void TimeBudget::spend(Clock::duration used, Clock::time_point now) {
  left_ = left(now) - used;
  at_ = now;
}

TimeBudget::Clock::duration TimeBudget::pause(Clock::time_point now) const {
  const auto have = left(now);
  if (have.count() > 0) return Clock::duration::zero();
  return std::chrono::duration_cast<Clock::duration>((kTurn - have) / kShare);
}

BusPump::BusPump(asio::io_context& io, sdbus::IConnection& bus, Lost lost)
    : io_(io), bus_(&bus), lost_(std::move(lost)), timer_(io) {}

void BusPump::start() {
  soon();
}

void BusPump::kick() {
  if (bus_ != nullptr) arm();
}

void BusPump::stop() {
  bus_ = nullptr;
  lost_ = nullptr;
  socket_.reset();
  wake_.reset();
  timer_.cancel();
}

void BusPump::fail(std::string cause) {
  if (bus_ == nullptr) return;
  bus_ = nullptr;
  auto lost = std::exchange(lost_, nullptr);
  socket_.reset();
  wake_.reset();
  timer_.cancel();
  asio::post(io_, [lost = std::move(lost), cause = std::move(cause)] { lost(cause); });
}

void BusPump::pump() {
  if (bus_ == nullptr) return;
  const auto began = cpu_time();
  try {
    turn();
  } catch (const sdbus::Error& e) {
    return fail(e.getMessage());
  }
  budget_.spend(cpu_time() - began, Clock::now());
  if (bus_ != nullptr) arm();
}

void BusPump::turn() {
  const auto end = Clock::now() + TimeBudget::kTurn;
  more_ = false;
  while (bus_ != nullptr && compat::process(*bus_)) {
    if (bus_ == nullptr || output_waits()) return;
    if (Clock::now() < end) continue;
    more_ = true;
    return;
  }
}

bool BusPump::output_waits() const {
  return (bus_->getEventLoopPollData().events & POLLOUT) != 0;
}

void BusPump::arm() {
  sdbus::IConnection::PollData data{};
  int timeout_ms = -1;
  try {
    data = bus_->getEventLoopPollData();
    timeout_ms = data.getPollTimeout();
  } catch (const sdbus::Error& e) {
    return fail(e.getMessage());
  }
  if (!socket_) {
    const int fd = duplicate(data.fd);
    if (fd < 0) return fail("out of file descriptors");
    socket_.emplace(io_, fd);
    if (const int event_fd = compat::event_fd(data); event_fd >= 0) {
      if (const int wake = duplicate(event_fd); wake >= 0) wake_.emplace(io_, wake);
    }
  }
  std::optional<Clock::duration> pause;
  if (timeout_ms >= 0) pause = std::chrono::milliseconds(timeout_ms);
  if ((data.events & POLLOUT) != 0) {
    const auto now = Clock::now();
    if (!stuck_since_) stuck_since_ = now;
    const auto left = *stuck_since_ + kStuckAfter - now;
    if (left <= Clock::duration::zero())
      return fail(fmt::format("the bus has taken no message for {} s", kStuckAfter.count()));
    watch(*socket_, true, waiting_write_);
    return wake_after(pause ? std::min<Clock::duration>(*pause, left) : left);
  }
  stuck_since_.reset();
  if (const auto rest = budget_.pause(Clock::now()); rest > Clock::duration::zero()) return wake_after(rest);
  // Whoever waits for the loop comes first, a tick among them.
  if (more_) return soon();
  if ((data.events & POLLIN) != 0) watch(*socket_, false, waiting_read_);
  if (wake_) watch(*wake_, false, waiting_wake_);
  if (pause) return wake_after(*pause);
  timer_.cancel();
}

void BusPump::soon() {
  if (std::exchange(posted_, true)) return;
  asio::post(io_, [self = shared_from_this()] {
    self->posted_ = false;
    self->pump();
  });
}

void BusPump::wake_after(Clock::duration pause) {
  timer_.expires_after(pause);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& failed) {
    if (!failed) self->pump();
  });
}

void BusPump::watch(asio::posix::stream_descriptor& fd, bool write, bool& waiting) {
  if (waiting) return;
  waiting = true;
  using asio::posix::stream_descriptor;
  fd.async_wait(write ? stream_descriptor::wait_write : stream_descriptor::wait_read,
                [self = shared_from_this(), &waiting, write](const boost::system::error_code& failed) {
                  waiting = false;
                  if (failed) return;
                  if (write) self->stuck_since_.reset();
                  self->pump();
                });
}

}  // namespace sluice::publish
