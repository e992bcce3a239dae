#include "daemon/publish/bus/bus_service.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "daemon/process/clock.hpp"
#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/bus_connector.hpp"
#include "daemon/publish/bus/bus_model.hpp"
#include "daemon/publish/bus/bus_session.hpp"
#include "daemon/publish/journal/line_limit.hpp"
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

// A message may have 32 MiB. Without this, glibc takes the first large one for a habit: it puts the next into
// the heap, and keeps the room.
void keep_large_messages_apart() {
  constexpr int kMiB = 1 << 20;
  ::mallopt(M_MMAP_THRESHOLD, kMiB);
  ::mallopt(M_TRIM_THRESHOLD, 8 * kMiB);
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
      if (link.bus) return open(std::move(link));
      release_owners();  // with the bus, all its connections went
      lost(error);
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
    tell_left_out();
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
    if (!session_ || broken_) return;
    try {
      emit();
      session_->flush();
    } catch (const sdbus::Error& e) {
      broken_ = true;  // half of a report was told, and what follows builds on the whole
      lost_later(e.getMessage());
    }
  }

  void open(BusLink link) {
    ++statistics_.connections;
    broken_ = false;
    const std::weak_ptr<Impl> weak = weak_from_this();
    BusSession::Events events;
    events.named = [this](const std::string& bus_id) { named(bus_id); };
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

  // The bus knows which owners are still there, but for those of another bus: their names may be somebody
  // else's here.
  void named(const std::string& bus_id) {
    named_ = was_named_ = true;
    pause_ = kFirstPause;
    tell(Told::named, fmt::format("on the bus as {}", kServiceName));
    last_cause_.clear();
    const std::string before = std::exchange(bus_id_, bus_id);
    if (!before.empty() && before != bus_id) release_owners();
    ask_for_owners();
  }

  // At the start there is a second daemon, and that one goes. Later it is somebody who came while the bus had
  // dropped us: no reason to stop governing.
  void name_taken() {
    if (was_named_) return lost_later("another process has taken the name");
    gave_up_ = true;
    lost_later("another process owns the name");
    asio::post(io_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->hooks_.name_taken();
    });
  }

  // Somebody who breaks the connection again and again fills no log.
  enum class Told : std::uint8_t { named, lost };
  void tell(Told kind, const std::string& text) {
    constexpr std::uint32_t kPerMinute = 10;
    if (!told_.allow({{}, static_cast<int>(kind)}, kPerMinute, text, monotonic_now())) return;
    spdlog::log(kind == Told::named ? spdlog::level::info : spdlog::level::warn, "{}", text);
  }
  void tell_left_out() {
    for (const auto& [key, lines, example] : told_.ended(monotonic_now()))
      spdlog::warn("{} more like this were left out in the last minute: {}", lines, example);
  }

  void lost_later(std::string cause) {
    asio::post(io_, [weak = weak_from_this(), cause = std::move(cause)] {
      if (const auto self = weak.lock()) self->lost(cause);
    });
  }

  // Drops the tree. Pins that live with a connection stay until it is known whether that is still there.
  void lost(const std::string& cause) {
    if (retrying_) return;
    if (session_) session_->cut();
    session_.reset();
    const bool was_named = std::exchange(named_, false);
    owners_asked_.clear();
    if (gave_up_) return;
    if (was_named || cause != last_cause_) {  // each cause once, not each attempt
      tell(Told::lost, fmt::format("{}: {}. Governing goes on; the bus is tried again from time to time",
                                   was_named ? "lost the bus" : "no bus", cause));
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

  void release_owners() {
    for (const auto& owner : model_.owners()) owner_vanished(owner);
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
    const auto owners = model_.owners();
    for (const auto& owner : owners) {
      if (!owners_asked_.contains(owner)) guarded([&] { session_->ask_for_owner(owner); });
    }
    owners_asked_ = {owners.begin(), owners.end()};
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
  bool named_ = false, was_named_ = false, retrying_ = false, gave_up_ = false, changes_pending_ = false;
  bool broken_ = false;     // the session is about to be lost
  std::string last_cause_;  // that was logged
  LineLimit told_;
  std::string bus_id_;  // of the bus that we were on last; empty: of none, or it did not say
  std::set<std::string> owners_asked_;
  std::minstd_rand random_{std::random_device{}()};
};

BusService::BusService(asio::io_context& io, BusOptions options, BusHooks hooks)
    : impl_(std::make_shared<Impl>(io, std::move(options), std::move(hooks))) {
  keep_large_messages_apart();
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
