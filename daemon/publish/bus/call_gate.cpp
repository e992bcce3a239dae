#include "daemon/publish/bus/call_gate.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {
constexpr std::size_t kMaxKnownCallers = 1024;
}  // namespace

CallGate::CallGate(sdbus::IConnection& bus, CallCounters& counters)
    : counters_(counters),
      rate_(kCallsPerSecond),
      bus_proxy_(compat::create_proxy(bus, kBusName, "/org/freedesktop/DBus")) {}

CallGate::~CallGate() = default;

void CallGate::call(const std::string& sender, std::string rate_key, sdbus::Result<>&& result,
                    std::function<void(const Caller&)> work) {
  const Ticket ticket = admit(std::move(result));
  start(sender,
        {ticket, std::move(rate_key), [this, work = std::move(work)](const Caller& caller, Ticket id) {
           work(caller);
           answer(id, std::nullopt);
         }});
}

void CallGate::call_later(const std::string& sender, sdbus::Result<>&& result, Work work) {
  const Ticket ticket = admit(std::move(result));
  start(sender, {ticket, {}, std::move(work)});
}

void CallGate::answer(Ticket ticket, const std::optional<sdbus::Error>& error) {
  const auto found = results_.find(ticket);
  if (found == results_.end()) return;
  const auto result = std::move(found->second);
  results_.erase(found);
  ++(error ? counters_.failed : counters_.accepted);
  try {
    error ? result.returnError(*error) : result.returnResults();
  } catch (const sdbus::Error&) {
    // The connection broke; the pump will notice.
  }
}

CallGate::Ticket CallGate::admit(sdbus::Result<>&& result) {
  if (results_.size() >= kMaxPendingCalls) {
    ++counters_.rate_limited;
    throw compat::error(error_name::limits_exceeded,
                        fmt::format("{} calls are waiting already; try again later", kMaxPendingCalls));
  }
  const Ticket ticket = next_ticket_++;
  results_.emplace(ticket, std::move(result));
  return ticket;
}

void CallGate::start(const std::string& sender, Waiting waiting) {
  if (const auto known = uids_.find(sender); known != uids_.end()) {
    return run({sender, known->second}, std::move(waiting));
  }
  auto& queue = waiting_[sender];
  queue.push_back(std::move(waiting));
  if (queue.size() > 1) return;  // already asked
  compat::call_async<std::uint32_t>(
      *bus_proxy_, "GetConnectionUnixUser", kBusName, std::chrono::seconds(5),
      [this, sender](const std::optional<std::string>& error, std::uint32_t uid) {
        resolved(sender, error, uid);
      },
      sender);
}

void CallGate::resolved(const std::string& sender, const std::optional<std::string>& error,
                        std::uint32_t uid) {
  auto node = waiting_.extract(sender);
  if (node.empty()) return;
  if (!error) {
    if (uids_.size() >= kMaxKnownCallers) uids_.clear();
    uids_[sender] = uid;
  }
  for (auto& waiting : node.mapped()) {
    if (error) {
      ++counters_.denied;
      answer(waiting.ticket,
             compat::error(error_name::access_denied, "cannot tell who is calling: " + *error));
    } else {
      run({sender, uid}, std::move(waiting));
    }
  }
}

void CallGate::run(const Caller& caller, Waiting waiting) {
  if (caller.uid != 0 && caller.uid != ::geteuid()) {
    ++counters_.denied;
    return answer(waiting.ticket,
                  compat::error(error_name::access_denied,
                                fmt::format("uid {} may look, but only root may change this", caller.uid)));
  }
  const std::string key = waiting.rate_key.empty() ? fmt::format("uid {}", caller.uid) : waiting.rate_key;
  if (!rate_.allow(key, std::chrono::steady_clock::now())) {
    ++counters_.rate_limited;
    return answer(waiting.ticket, compat::error(error_name::rate_limited,
                                                fmt::format("{} has made more than {} calls in a second", key,
                                                            static_cast<int>(kCallsPerSecond))));
  }
  try {
    waiting.work(caller, waiting.ticket);
  } catch (const sdbus::Error& refused) {
    answer(waiting.ticket, refused);
  } catch (const std::exception& e) {
    answer(waiting.ticket, compat::error(error_name::failed, e.what()));
  }
}

}  // namespace sluice::publish
