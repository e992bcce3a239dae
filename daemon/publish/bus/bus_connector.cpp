#include "daemon/publish/bus/bus_connector.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <mutex>
#include <thread>
#include <utility>

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

// A thread that gets no signals: SIGTERM and its kin belong to the loop's thread.
template <class Function>
void run_detached(Function function) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  std::thread(std::move(function)).detach();
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

}  // namespace

void BusLink::close() {
  if (!bus) return;
  if (vanished) *vanished = nullptr;
  run_detached([bus = std::move(bus), match = std::move(match)]() mutable {
    match.reset();
    bus.reset();
  });
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
  run_detached([&io = io_, attempt, address] {
    BusLink link;
    std::string error;
    try {
      link = open_link(address);
    } catch (const std::exception& e) {
      error = e.what();
    }
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
      const auto finish = std::move(attempt->done);
      finish(std::move(attempt->link), std::move(attempt->error));
    });
  });
}

}  // namespace sluice::publish
