#include "daemon/publish/bus/bus_pump.hpp"

#include <fcntl.h>
#include <poll.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"

namespace sluice::publish {

namespace asio = boost::asio;

namespace {
// Time spent on messages in one turn of the loop: a flood of calls must not keep the next tick waiting.
constexpr std::chrono::milliseconds kTurn{2};

int duplicate(int fd) {
  return ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
}
}  // namespace

BusPump::BusPump(asio::io_context& io, sdbus::IConnection& bus, Lost lost)
    : io_(io), bus_(&bus), lost_(std::move(lost)), timer_(io) {}

void BusPump::start() {
  asio::post(io_, [self = shared_from_this()] { self->pump(); });
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
  try {
    const auto end = std::chrono::steady_clock::now() + kTurn;
    while (bus_ != nullptr && compat::process(*bus_)) {
      if (std::chrono::steady_clock::now() >= end) {
        asio::post(io_, [self = shared_from_this()] { self->pump(); });
        return;
      }
    }
  } catch (const sdbus::Error& e) {
    return fail(e.getMessage());
  }
  if (bus_ != nullptr) arm();
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
  if ((data.events & POLLIN) != 0) watch(*socket_, false, waiting_read_);
  if (wake_) watch(*wake_, false, waiting_wake_);
  if ((data.events & POLLOUT) != 0) {
    const auto now = std::chrono::steady_clock::now();
    if (!stuck_since_) stuck_since_ = now;
    if (now - *stuck_since_ > kStuckAfter) return fail("the bus has taken no message for 10 s");
    watch(*socket_, true, waiting_write_);
  } else {
    stuck_since_.reset();
  }
  if (timeout_ms >= 0) {
    timer_.expires_after(std::chrono::milliseconds(timeout_ms));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& failed) {
      if (!failed) self->pump();
    });
  } else {
    timer_.cancel();
  }
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
