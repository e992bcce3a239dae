// Drives one D-Bus connection from Boost.Asio: waits on its sockets and its timeout, and never blocks.
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
  void pump();
  void arm();
  void watch(boost::asio::posix::stream_descriptor& fd, bool write, bool& waiting);
  void fail(std::string cause);

  boost::asio::io_context& io_;
  sdbus::IConnection* bus_;
  Lost lost_;
  boost::asio::steady_timer timer_;
  // Duplicates: Asio closes what it is given, and sd-bus closes its own.
  std::optional<boost::asio::posix::stream_descriptor> socket_, wake_;
  bool waiting_read_ = false, waiting_write_ = false, waiting_wake_ = false;
  // A bus that takes nothing for this long is as good as gone; sd-bus would queue messages without end.
  static constexpr std::chrono::seconds kStuckAfter{10};
  std::optional<std::chrono::steady_clock::time_point> stuck_since_;
};

}  // namespace sluice::publish
