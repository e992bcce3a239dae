// Opens a bus connection without blocking the loop: the handshake and the first match are round trips to a
// daemon that may hang, so they happen on a short-lived thread, and the finished connection is handed over.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

namespace sluice::publish {

// A connection that has said Hello, with a watch on vanishing bus names. Destroy it with `close`.
struct BusLink {
  std::unique_ptr<sdbus::IConnection> bus;
  // Set by the new owner; called while the bus is processed. Shared with the match's handler.
  std::shared_ptr<std::function<void(const std::string& name)>> vanished;
  sdbus::Slot match;

  BusLink() = default;
  BusLink(BusLink&&) = default;
  BusLink& operator=(BusLink&&) = default;
  BusLink(const BusLink&) = delete;
  BusLink& operator=(const BusLink&) = delete;
  ~BusLink() { close(); }
  // Closing flushes, and flushing to a bus that hangs blocks: a thread of its own pays for that.
  void close();
  // Nothing goes either way any more, and the bus can see that: it need not read what it has not read yet.
  void cut() const;
};

class BusConnector {
 public:
  // On the io thread: a link, or why there is none.
  using Done = std::function<void(BusLink link, std::string error)>;
  explicit BusConnector(boost::asio::io_context& io) : io_(io) {}
  ~BusConnector();  // forgets a pending attempt, does not wait for it
  BusConnector(const BusConnector&) = delete;
  BusConnector& operator=(const BusConnector&) = delete;
  void connect(const std::string& address, Done done);

 private:
  struct Attempt;
  boost::asio::io_context& io_;
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace sluice::publish
