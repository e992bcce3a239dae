// Drives one D-Bus connection from Boost.Asio: waits on its sockets and its timeout, and never blocks. Takes
// no more in than goes out: while the bus does not read what we have said, nothing is read from it. Whoever
// floods us gets a share of a CPU, and never delays a tick.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sdbus {
class IConnection;
}

namespace sluice::publish {

// Half a second of CPU time a second, and a second at once. Pure; time is handed in.
class TimeBudget {
 public:
  using Clock = std::chrono::steady_clock;
  // Spent on messages in one turn of the loop: a flood of calls must not keep the next tick waiting.
  static constexpr std::chrono::milliseconds kTurn{2};
  void spend(Clock::duration used, Clock::time_point now);
  // How long to wait until there is a turn to spend; zero: there is some left.
  [[nodiscard]] Clock::duration pause(Clock::time_point now) const;

 private:
  [[nodiscard]] std::chrono::duration<double> left(Clock::time_point now) const;
  static constexpr double kShare = 0.5;
  static constexpr std::chrono::duration<double> kAtOnce{1};
  std::chrono::duration<double> left_ = kAtOnce;
  std::optional<Clock::time_point> at_;  // when there was so much left
};

class BusPump : public std::enable_shared_from_this<BusPump> {
 public:
  using Lost = std::function<void(std::string cause)>;
  // `lost` is called at most once, from the io_context and never from inside another of our calls.
  BusPump(boost::asio::io_context& io, sdbus::IConnection& bus, Lost lost);
  void start();
  // After messages were sent from outside a handler: what did not fit into the socket needs a wake-up.
  void kick();
  // No handler of ours touches the connection any more. Before the connection goes.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  void pump();
  void turn();
  bool output_waits() const;
  void arm();
  void soon();
  void wake_after(Clock::duration pause);
  void watch(boost::asio::posix::stream_descriptor& fd, bool write, bool& waiting);
  void fail(std::string cause);

  boost::asio::io_context& io_;
  sdbus::IConnection* bus_;
  Lost lost_;
  boost::asio::steady_timer timer_;
  // Duplicates: Asio closes what it is given, and sd-bus closes its own.
  std::optional<boost::asio::posix::stream_descriptor> socket_, wake_;
  bool waiting_read_ = false, waiting_write_ = false, waiting_wake_ = false;
  bool posted_ = false;
  bool more_ = false;  // the last turn ended by its time, not for want of messages
  // A bus that takes nothing for this long is as good as gone: a connection that is new is read from again.
  // Short, as a new connection costs a quarter of a second, also where the bus merely waited for a CPU.
  static constexpr std::chrono::seconds kStuckAfter{5};
  std::optional<Clock::time_point> stuck_since_;
  TimeBudget budget_;
};

}  // namespace sluice::publish
