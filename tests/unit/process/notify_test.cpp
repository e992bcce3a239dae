#include "daemon/process/notify.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace sluice::process {
namespace {

// The service manager's end; `name` begins with '@' if it is abstract.
class Manager {
 public:
  explicit Manager(std::string name)
      : name_(std::move(name)), fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, name_.data(), name_.size());
    if (name_[0] == '@') at.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), size), 0) << name_;
    ::setenv("NOTIFY_SOCKET", name_.c_str(), 1);
  }
  ~Manager() {
    ::unsetenv("NOTIFY_SOCKET");
    ::close(fd_);
    if (name_[0] == '/') ::unlink(name_.c_str());
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  std::string read() const {
    std::string text(200, '\0');
    const ssize_t n = ::recv(fd_, text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }

 private:
  std::string name_;
  int fd_;
};

std::string unique(const char* begin) {
  return begin + ("sluice-notify-" + std::to_string(::getpid()));
}

TEST(Notify, ArrivesByPathAndByAbstractName) {
  for (const auto& name : {unique("/tmp/"), unique("@")}) {
    const Manager manager(name);
    EXPECT_TRUE(notify("READY=1"));
    EXPECT_EQ(manager.read(), "READY=1");
  }
}

TEST(Notify, NobodyToTellIsNoFailure) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(notify("READY=1"));
}

TEST(Notify, OneThatIsNotThereIsAFailure) {
  ::setenv("NOTIFY_SOCKET", "/nobody/listens", 1);
  EXPECT_FALSE(notify("READY=1"));
  ::setenv("NOTIFY_SOCKET", "neither path nor name", 1);
  EXPECT_FALSE(notify("READY=1"));
  ::setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  EXPECT_FALSE(notify("READY=1"));
  ::unsetenv("NOTIFY_SOCKET");
}

TEST(Notify, OneThatDoesNotReadIsNotWaitedFor) {
  const Manager manager(unique("@"));
  int taken = 0;
  while (taken < 100'000 && notify("WATCHDOG=1")) ++taken;  // a blocking call would hang here
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 100'000) << "its queue has no end?";
  while (!manager.read().empty()) {
  }
  EXPECT_TRUE(notify("WATCHDOG=1")) << "it reads again";
}

}  // namespace
}  // namespace sluice::process
