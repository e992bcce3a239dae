#include "daemon/publish/bus/bus_service.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/bus_connector.hpp"
#include "daemon/publish/bus/bus_model.hpp"
#include "daemon/publish/bus/bus_session.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto kFirstPause = 250ms;
constexpr auto kLongestPause = 30'000ms;
constexpr auto kChangesEvery = 1s;

std::uint64_t wall_now_usec() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<Usec>(std::chrono::system_clock::now().time_since_epoch()).count());
}

}  // namespace

class BusService::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, BusOptions options, BusHooks hooks)
      : io_(io),
        address_(std::move(options.address)),
        facts_(std::move(options.facts)),
        hooks_(std::move(hooks)),
        connector_(io),
        retry_(io),
        changes_(io) {}

  void connect() {
    connector_.connect(address_, [this](BusLink link, const std::string& error) {
      if (!link.bus) return lost(error);
      open(std::move(link));
    });
  }

  void stop() {
    retry_.cancel();
    changes_.cancel();
    session_.reset();
  }

  void publish(std::shared_ptr<const Report> report) {
    const auto delta = model_.update(std::move(report), wall_now_usec());
    guarded([&] { session_->apply(delta); });
    ask_for_owners();
    changes_soon();
  }

  void set_facts(DaemonFacts facts) {
    facts_ = std::move(facts);
    changes_soon();
  }
  [[nodiscard]] const DaemonFacts& facts() const { return facts_; }
  [[nodiscard]] bool connected() const { return named_; }

 private:
  // Emitting fails when the connection has just broken; the pump reports that by itself.
  template <class Emit>
  void guarded(Emit emit) {
    if (!session_) return;
    try {
      emit();
      session_->flush();
    } catch (const sdbus::Error& e) {
      lost_later(e.getMessage());
    }
  }

  void open(BusLink link) {
    ++statistics_.connections;
    const std::weak_ptr<Impl> weak = weak_from_this();
    BusSession::Events events;
    events.named = [this] { named(); };
    events.name_taken = [this] { name_taken(); };
    events.lost = [weak](const std::string& cause) {
      if (const auto self = weak.lock()) self->lost(cause);
    };
    events.vanished = [this](const std::string& name) { owner_vanished(name); };
    try {
      session_ = std::make_unique<BusSession>(io_, std::move(link), hooks_, facts_, model_, statistics_,
                                              std::move(events));
    } catch (const sdbus::Error& e) {
      lost(e.getMessage());
    }
  }

  void named() {
    named_ = true;
    pause_ = kFirstPause;
    spdlog::info("on the bus as {}", kServiceName);
    last_cause_.clear();
  }

  void name_taken() {
    gave_up_ = true;
    lost_later("another process owns the name");
    asio::post(io_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->hooks_.name_taken();
    });
  }

  void lost_later(std::string cause) {
    asio::post(io_, [weak = weak_from_this(), cause = std::move(cause)] {
      if (const auto self = weak.lock()) self->lost(cause);
    });
  }

  // Drops the tree. Pins that live with a connection lapse: with the bus, all its connections went.
  void lost(const std::string& cause) {
    if (retrying_) return;
    session_.reset();
    const bool was_named = std::exchange(named_, false);
    owners_asked_.clear();
    for (const auto& owner : model_.owners()) owner_vanished(owner);
    if (gave_up_) return;
    if (was_named || cause != last_cause_) {  // each cause once, not each attempt
      spdlog::warn("{}: {}. Governing goes on; the bus is tried again from time to time",
                   was_named ? "lost the bus" : "no bus", cause);
      last_cause_ = cause;
    }
    retrying_ = true;
    retry_.expires_after(next_pause());
    retry_.async_wait([weak = weak_from_this()](const boost::system::error_code& failed) {
      const auto self = weak.lock();
      if (failed || !self) return;
      self->retrying_ = false;
      self->connect();
    });
  }

  // Half to all of a pause that doubles, so that a bus's return is no stampede.
  std::chrono::milliseconds next_pause() {
    const auto pause = pause_;
    pause_ = std::min(std::chrono::milliseconds(kLongestPause), pause_ * 2);
    std::uniform_int_distribution<long> jitter(pause.count() / 2, pause.count());
    return std::chrono::milliseconds(jitter(random_));
  }

  void owner_vanished(const std::string& name) {
    const auto owners = model_.owners();
    if (std::find(owners.begin(), owners.end(), name) == owners.end()) return;
    static_cast<void>(hooks_.submit(OwnerVanishedCommand{name}));
  }

  // A pin that ends with its owner may be older than this process, or its owner may have left a moment ago:
  // each owner is asked for once a connection, and after that the bus says when it goes.
  void ask_for_owners() {
    if (!named_ || !session_) return;
    for (const auto& owner : model_.owners()) {
      if (owners_asked_.insert(owner).second) guarded([&] { session_->ask_for_owner(owner); });
    }
  }

  // PropertiesChanged: at once when the last was a second ago, else when it will have been.
  void changes_soon() {
    if (!session_ || changes_pending_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - changes_at_ >= kChangesEvery) return emit_changes();
    changes_pending_ = true;
    changes_.expires_at(changes_at_ + kChangesEvery);
    changes_.async_wait([weak = weak_from_this()](const boost::system::error_code& failed) {
      const auto self = weak.lock();
      if (!self) return;
      self->changes_pending_ = false;
      if (!failed) self->emit_changes();
    });
  }

  void emit_changes() {
    changes_at_ = std::chrono::steady_clock::now();
    guarded([this] { session_->emit_changes(); });
  }

  asio::io_context& io_;
  const std::string address_;
  DaemonFacts facts_;
  const BusHooks hooks_;
  BusModel model_;
  BusStatistics statistics_;
  BusConnector connector_;
  asio::steady_timer retry_, changes_;
  std::unique_ptr<BusSession> session_;
  std::chrono::milliseconds pause_ = kFirstPause;
  std::chrono::steady_clock::time_point changes_at_{};
  bool named_ = false, retrying_ = false, gave_up_ = false, changes_pending_ = false;
  std::string last_cause_;  // that was logged
  std::set<std::string> owners_asked_;
  std::minstd_rand random_{std::random_device{}()};
};

BusService::BusService(asio::io_context& io, BusOptions options, BusHooks hooks)
    : impl_(std::make_shared<Impl>(io, std::move(options), std::move(hooks))) {
  impl_->connect();
}
BusService::~BusService() {
  impl_->stop();
}

void BusService::publish(std::shared_ptr<const Report> report) {
  impl_->publish(std::move(report));
}
void BusService::set_facts(DaemonFacts facts) {
  impl_->set_facts(std::move(facts));
}
const DaemonFacts& BusService::facts() const {
  return impl_->facts();
}
bool BusService::connected() const {
  return impl_->connected();
}

}  // namespace sluice::publish
