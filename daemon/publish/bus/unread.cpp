#include "daemon/publish/bus/unread.hpp"

#include <algorithm>
#include <utility>

namespace sluice::publish {

Unread::Limit Unread::passed(const std::string& connection, const Asker& who, std::size_t bytes) const {
  const std::size_t own = of(connection);
  if (!is_on_ || own + bytes <= kAlways) return Limit::none;
  if (who.is_privileged) {
    if (own + std::min(bytes, kOfRootsConnection / 2) > kOfRootsConnection) return Limit::connection;
    return privileged_ + bytes > kOfPrivileged ? Limit::privileged : Limit::none;
  }
  if (!who.uid) {
    const bool has_room = own < kOfNewcomer && strangers_ + unknown_ + bytes <= kOfUnknown &&
                          total() + bytes <= kOfUnknown + kOfPrivileged;
    return has_room ? Limit::none : Limit::unknown;
  }
  if (of_uid(who) + std::min(bytes, kOfUid / 2) > kOfUid) return Limit::uid;
  return strangers_ + bytes > kOfStrangers ? Limit::strangers : Limit::none;
}

bool Unread::may_refuse(const std::string& connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end() || found->second.bytes() < kAlways) return true;
  return !std::exchange(found->second.was_refused, true);
}

void Unread::answered(const std::string& connection, const Asker& who, std::size_t bytes) {
  if (!is_on_) return;
  known(connection, who);
  auto& answered = connections_.try_emplace(connection, Connection{.who = who, .asked_at = {}}).first->second;
  answered.since += bytes;
  count(answered.who, bytes, 0);
}

std::vector<std::string> Unread::to_ask(const std::string& connection, const Asker& who, TimePoint now) {
  std::vector<Entry> found;
  const bool is_crowded = this->is_crowded(who);
  const auto own = connections_.find(connection);
  if (own != connections_.end() && may_be_asked_about(own->second, now) &&
      (is_crowded || own->second.bytes() >= kAskAt))
    found.push_back(own);
  // All in turn: who does not read must not keep the bus from being asked about who does.
  if (is_crowded && (!swept_at_ || now - *swept_at_ >= kAskEvery)) {
    swept_at_ = now;
    std::vector<Entry> others;
    for (auto entry = connections_.begin(); entry != connections_.end(); ++entry) {
      const auto& [name, other] = *entry;
      if (entry != own && other.who.is_privileged == who.is_privileged && may_be_asked_about(other, now))
        others.push_back(entry);
    }
    const auto end = others.begin() + static_cast<std::ptrdiff_t>(std::min(kAskAtOnce, others.size()));
    std::partial_sort(others.begin(), end, others.end(), [](const Entry& one, const Entry& other) {
      return one->second.asked_at < other->second.asked_at;
    });
    found.insert(found.end(), others.begin(), end);
  }
  std::vector<std::string> names;
  for (const auto& entry : found) {
    auto& asked = entry->second;
    asked.before += std::exchange(asked.since, 0);
    asked.is_asked = true;
    asked.asked_at = now;
    names.push_back(entry->first);
  }
  return names;
}

void Unread::held(const std::string& connection, std::size_t bytes) {
  const auto found = connections_.find(connection);
  if (found == connections_.end() || !std::exchange(found->second.is_asked, false)) return;
  auto& asked = found->second;
  const std::size_t read = asked.before - std::min(asked.before, bytes);
  asked.before -= read;
  count(asked.who, 0, read);
  if (asked.bytes() < kAlways) asked.was_refused = false;
  if (asked.bytes() == 0) connections_.erase(found);
}

void Unread::no_answer(const std::string& connection) {
  const auto found = connections_.find(connection);
  if (found != connections_.end()) found->second.is_asked = false;
}

void Unread::gone(const std::string& connection) {
  const auto node = connections_.extract(connection);
  if (!node.empty()) count(node.mapped().who, 0, node.mapped().bytes());
}

void Unread::known(const std::string& connection, const Asker& who) {
  const auto found = connections_.find(connection);
  if (found == connections_.end() || !who.uid || found->second.who.uid == who.uid) return;
  count(found->second.who, 0, found->second.bytes());
  found->second.who = who;
  count(who, found->second.bytes(), 0);
}

std::size_t Unread::of(const std::string& connection) const {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? 0 : found->second.bytes();
}

void Unread::count(const Asker& who, std::size_t more, std::size_t less) {
  auto& group = who.is_privileged ? privileged_ : who.uid ? strangers_ : unknown_;
  group = group + more - less;
  if (who.is_privileged || !who.uid) return;
  const auto of_it = uids_.try_emplace(*who.uid).first;
  of_it->second = of_it->second + more - less;
  if (of_it->second == 0) uids_.erase(of_it);
}

std::size_t Unread::of_uid(const Asker& who) const {
  const auto found = who.uid ? uids_.find(*who.uid) : uids_.end();
  return found == uids_.end() ? 0 : found->second;
}

bool Unread::is_crowded(const Asker& who) const {
  if (who.is_privileged) return privileged_ > kOfPrivileged / 2;
  return of_uid(who) > kOfUid / 2 || strangers_ + unknown_ > kOfStrangers / 2;
}

bool Unread::may_be_asked_about(const Connection& connection, TimePoint now) {
  return !connection.is_asked && (!connection.asked_at || now - *connection.asked_at >= kAskEvery);
}

}  // namespace sluice::publish
