#include "daemon/publish/bus/bus_connector.hpp"

#include <malloc.h>
#include <sys/socket.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <mutex>
#include <utility>

#include "daemon/process/quiet_thread.hpp"
#include "daemon/publish/bus/bus_compat.hpp"

namespace sluice::publish {

namespace {

// Only names that vanish: an empty new owner. Every process that leaves the bus makes one such signal.
constexpr const char* kVanishedMatch =
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
    "member='NameOwnerChanged',arg2=''";

BusLink open_link(const std::string& address) {
  BusLink link;
  link.bus = address == "system" ? sdbus::createSystemBusConnection()
                                 : sdbus::createSessionBusConnectionWithAddress(address);
  link.vanished = std::make_shared<std::function<void(const std::string&)>>();
  link.match = compat::add_match(*link.bus, kVanishedMatch, [vanished = link.vanished](auto&& message) {
    std::string name;
    message >> name;
    if (*vanished) (*vanished)(name);
  });
  return link;
}

}  // namespace

void BusLink::close() {
  if (!bus) return;
  if (vanished) *vanished = nullptr;
  // Without a thread it is closed here.
  static_cast<void>(process::run_detached([bus = std::move(bus), match = std::move(match)]() mutable {
    match.reset();
    bus.reset();
    ::malloc_trim(0);  // what a bus that did not read from us made us queue
  }));
}

void BusLink::cut() const {
  try {
    ::shutdown(bus->getEventLoopPollData().fd, SHUT_RDWR);
  } catch (const sdbus::Error&) {
    // Closed already.
  }
}

struct BusConnector::Attempt {
  std::mutex mutex;
  bool forgotten = false;  // the io_context may be gone
  Done done;
  BusLink link;
  std::string error;
};

BusConnector::~BusConnector() {
  if (!attempt_) return;
  const std::lock_guard lock(attempt_->mutex);
  attempt_->forgotten = true;
}

void BusConnector::connect(const std::string& address, Done done) {
  auto attempt = attempt_ = std::make_shared<Attempt>();
  attempt->done = std::move(done);
  const auto finish = [&io = io_, attempt](BusLink link, std::string error) {
    const std::lock_guard lock(attempt->mutex);
    if (attempt->forgotten) return;
    attempt->link = std::move(link);
    attempt->error = std::move(error);
    boost::asio::post(io, [attempt] {
      {
        const std::lock_guard inner(attempt->mutex);
        if (attempt->forgotten) return;
      }
      // Moved out first: the callback may start the next attempt.
      const auto report = std::move(attempt->done);
      report(std::move(attempt->link), std::move(attempt->error));
    });
  };
  const bool runs = process::run_detached([finish, address] {
    BusLink link;
    std::string error;
    try {
      link = open_link(address);
    } catch (const std::exception& e) {
      error = e.what();
    }
    finish(std::move(link), std::move(error));
  });
  if (!runs) finish({}, "no thread can be made to connect with");
}

}  // namespace sluice::publish
