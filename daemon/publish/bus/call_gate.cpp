#include "daemon/publish/bus/call_gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

CallGate::CallGate(Callers& callers, CallCounters& counters)
    : counters_(counters), callers_(callers), rate_(kCallsPerSecond) {}

void CallGate::call(const std::string& sender, std::string rate_key, sdbus::Result<>&& result,
                    std::function<void(const Caller&)> work) {
  const Ticket ticket = admit(sender, std::move(result));
  start(sender, ticket, std::move(rate_key), [this, work = std::move(work)](const Caller& caller, Ticket id) {
    work(caller);
    answer(id, std::nullopt);
  });
}

void CallGate::call_later(const std::string& sender, sdbus::Result<>&& result, Work work) {
  const Ticket ticket = admit(sender, std::move(result));
  start(sender, ticket, {}, std::move(work));
}

void CallGate::answer(Ticket ticket, const std::optional<sdbus::Error>& error) {
  const auto node = pending_.extract(ticket);
  if (node.empty()) return;
  const auto& result = node.mapped().result;
  ++(error ? counters_.failed : counters_.accepted);
  try {
    error ? result.returnError(*error) : result.returnResults();
  } catch (const sdbus::Error&) {
    // The connection broke; the pump will notice.
  }
}

// One caller that waits for much leaves room for others.
CallGate::Ticket CallGate::admit(const std::string& sender, sdbus::Result<>&& result) {
  const auto own = std::count_if(pending_.begin(), pending_.end(),
                                 [&](const auto& entry) { return entry.second.sender == sender; });
  const bool too_many = static_cast<std::size_t>(own) >= kMaxPendingCallsOfOne;
  if (too_many || pending_.size() >= kMaxPendingCalls) {
    ++counters_.rate_limited;
    throw compat::error(error_name::limits_exceeded,
                        fmt::format("{} calls{} are waiting already; try again later",
                                    too_many ? own : pending_.size(), too_many ? " of yours" : ""));
  }
  const Ticket ticket = next_ticket_++;
  pending_.emplace(ticket, Pending{sender, std::move(result)});
  return ticket;
}

void CallGate::start(const std::string& sender, Ticket ticket, std::string rate_key, Work work) {
  callers_.resolve(sender, [this, sender, ticket, rate_key = std::move(rate_key), work = std::move(work)](
                               std::optional<uid_t> uid, const std::string& error) {
    if (uid) return run({sender, *uid}, ticket, rate_key, work);
    ++counters_.denied;
    answer(ticket, compat::error(error_name::access_denied, "cannot tell who is calling: " + error));
  });
}

void CallGate::run(const Caller& caller, Ticket ticket, const std::string& rate_key, const Work& work) {
  if (!is_privileged(caller.uid)) {
    ++counters_.denied;
    return answer(ticket,
                  compat::error(error_name::access_denied,
                                fmt::format("uid {} may look, but only root may change this", caller.uid)));
  }
  const std::string key = rate_key.empty() ? fmt::format("uid {}", caller.uid) : rate_key;
  if (!rate_.allow(key, std::chrono::steady_clock::now())) {
    ++counters_.rate_limited;
    return answer(ticket, compat::error(error_name::rate_limited,
                                        fmt::format("{} has made more than {} calls in a second", key,
                                                    static_cast<int>(kCallsPerSecond))));
  }
  try {
    work(caller, ticket);
  } catch (const sdbus::Error& refused) {
    answer(ticket, refused);
  } catch (const std::exception& e) {
    answer(ticket, compat::error(error_name::failed, e.what()));
  }
}

}  // namespace sluice::publish
