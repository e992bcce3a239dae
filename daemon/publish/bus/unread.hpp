// What we answered and the bus still holds, because it has not been read. dbus-daemon counts it against us,
// and reads nothing more from a sender of whom it holds 127 MiB: so it is bounded here, for each who asks.
// Bytes count from the question on, until the bus says that it holds less for this connection, or that the
// connection is gone. The bus is asked, not the client (Ping): one that makes blocking calls only, as
// sluicectl does, answers no Ping. Of one connection to the bus. Pure; time is handed in.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice::publish {

// Who asks: `uid` is nothing where the bus has not said yet.
struct Asker {
  std::optional<uid_t> uid;
  bool is_privileged = false;
};

class Unread {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMiB = 1 << 20;
  // Strangers, newcomers and root together stay below 127 MiB, with room for refusals and signals. A listing
  // of a thousand tasks has 1.5 MiB.
  static constexpr std::size_t kOfUid = 16 * kMiB, kOfStrangers = 48 * kMiB;
  static constexpr std::size_t kOfRootsConnection = 16 * kMiB, kOfPrivileged = 48 * kMiB;
  // Strangers and connections whose uid is not known yet. More than strangers have: these do not shut out
  // root.
  static constexpr std::size_t kOfUnknown = 56 * kMiB;
  // One connection of unknown uid. Calls that a client sends together arrive before the bus reports its uid.
  static constexpr std::size_t kOfNewcomer = 2 * kMiB;
  // Each connection may have this much in any case, so that small answers and refusals get through while
  // others do not read. The bus admits 256 connections of a uid, which adds 4 MiB.
  static constexpr std::size_t kAlways = kMiB / 64;
  // A connection is asked about when it has so much; any that has a byte, when the limit is half reached.
  static constexpr std::size_t kAskAt = kMiB;
  // Not more often than this about one connection, and not about more at a time, but for the one that calls.
  static constexpr std::chrono::milliseconds kAskEvery{100};
  static constexpr std::size_t kAskAtOnce = 16;

  enum class Limit : std::uint8_t { none, connection, uid, strangers, unknown, privileged };

  // Without this nothing is counted or bounded: dbus-broker does not say what it holds, and need not, as it
  // counts that against who does not read.
  void bus_tells() { is_on_ = true; }
  [[nodiscard]] bool is_on() const { return is_on_; }

  // The limit that an answer of so many bytes would pass. A listing that is larger than half a limit is had
  // when the other half is free.
  [[nodiscard]] Limit passed(const std::string& connection, const Asker& who, std::size_t bytes) const;
  // Whether to refuse, or to drop: a refusal piles up as well. One, and then only to who has read nearly all.
  bool may_refuse(const std::string& connection);
  void answered(const std::string& connection, const Asker& who, std::size_t bytes);
  // About whom the bus is to be asked now, as this one calls. Each is waited for: held, no_answer or gone.
  std::vector<std::string> to_ask(const std::string& connection, const Asker& who, TimePoint now);

  // The bus says: it holds so much for the connection, of ours and of others.
  void held(const std::string& connection, std::size_t bytes);
  void no_answer(const std::string& connection);
  void gone(const std::string& connection);
  void known(const std::string& connection, const Asker& who);

  [[nodiscard]] std::size_t of(const std::string& connection) const;
  [[nodiscard]] std::size_t total() const { return strangers_ + unknown_ + privileged_; }
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  struct Connection {
    Asker who;
    std::size_t before = 0, since = 0;  // bytes: answered before the bus was asked last, and after that
    bool is_asked = false, was_refused = false;
    std::optional<TimePoint> asked_at;
    [[nodiscard]] std::size_t bytes() const { return before + since; }
  };
  using Entry = std::map<std::string, Connection>::iterator;
  void count(const Asker& who, std::size_t more, std::size_t less);
  [[nodiscard]] std::size_t of_uid(const Asker& who) const;
  [[nodiscard]] bool is_crowded(const Asker& who) const;
  static bool may_be_asked_about(const Connection& connection, TimePoint now);

  bool is_on_ = false;
  std::map<std::string, Connection> connections_;  // that have something
  std::map<uid_t, std::size_t> uids_;              // of strangers
  std::size_t strangers_ = 0, unknown_ = 0, privileged_ = 0;
  std::optional<TimePoint> swept_at_;
};

}  // namespace sluice::publish
