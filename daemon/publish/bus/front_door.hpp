// What every call passes before anything answers it, the library's own answers included (Get, Introspect,
// unknown names): the library echoes what was sent, and answers as often as it is asked. So names are
// bounded, and answers: by what they cost, and by what of them has not been read. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "daemon/publish/bus/rate_limit.hpp"
#include "daemon/publish/bus/unread.hpp"

namespace sluice::publish {

// A call, as far as its header and the names among its arguments tell.
struct Question {
  std::string_view sender, path, interface, member;
  std::string_view about_interface, about_property;  // of org.freedesktop.DBus.Properties
};

// By default it goes on to whom it is for.
struct Verdict {
  const char* error = nullptr;  // it is refused: with this name, and this text
  std::string text;
  bool is_dropped = false;  // it is not even refused
};

class FrontDoor {
 public:
  // `is_task`: whether a task has this path. `tasks`: how many there are, which makes some answers large.
  Verdict check(const Question& question, const Asker& asker,
                const std::function<bool(std::string_view path)>& is_task, std::size_t tasks,
                RateLimit::TimePoint now);

  Unread& unread() { return unread_; }

 private:
  Verdict judge(const Question& question, const Asker& asker, std::string too_large, std::size_t bytes,
                RateLimit::TimePoint now);

  static constexpr double kMiB = 1 << 20;
  Unread unread_;
  // How much each may be answered, read or not: a stranger 16 MiB at once and 2 MiB a second, which is a
  // twentieth of a core, as a listing of 1.5 MiB takes 30 ms; root eight times that. The pump gives all
  // callers together half a core: without this a stranger takes it all, and root waits. In bytes, as one
  // answer has a hundred, another a million. All connections of a uid share, and so do all whose uid the bus
  // has not said yet, but for their first small answers.
  RateLimit strangers_{2 * kMiB, 16 * kMiB}, privileged_{16 * kMiB, 128 * kMiB},
      newcomers_{8 * kMiB, 32 * kMiB};
  RateLimit refusals_{200};  // more than that go unanswered: refusals can flood as well
};

// About how many bytes the answer has.
double answer_bytes(const Question& question, std::size_t tasks);

}  // namespace sluice::publish
