// TCP sockets as counted by the programs, compared with the sockets' own counters.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <sstream>
#include <thread>

#include "bpf/loader/source.hpp"
#include "tests/kernel/bpf/counted.hpp"
#include "tests/kernel/bpf/tree.hpp"

namespace sluice::kernel_test {
namespace {

using bpf::Options;
using bpf::Source;
using namespace std::chrono_literals;

class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  int queued(unsigned long which) const {  // FIONREAD: unread; SIOCOUTQ: not acknowledged
    int bytes = -1;
    EXPECT_EQ(ioctl(fd_, which, &bytes), 0);
    return bytes;
  }
  void put(std::size_t bytes) const {
    const std::string payload(bytes, 'x');
    ASSERT_EQ(send(fd_, payload.data(), bytes, MSG_NOSIGNAL), static_cast<ssize_t>(bytes));
  }
  void take(std::size_t bytes) const {
    std::string payload(bytes, '\0');
    ASSERT_EQ(recv(fd_, payload.data(), bytes, MSG_WAITALL), static_cast<ssize_t>(bytes));
  }

 private:
  int fd_;
};

class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(bind(socket_.fd(), generic(), size), 0);
    EXPECT_EQ(listen(socket_.fd(), 1024), 0);
    EXPECT_EQ(getsockname(socket_.fd(), generic(), &size), 0);
  }
  Socket connect() {
    Socket client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.fd(), generic(), sizeof(address_)), 0);
    return client;
  }
  Socket accept() const { return Socket(accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address_); }
  Socket socket_;
  sockaddr_in address_{};
};

class Flow : public testing::Test {
 protected:
  void SetUp() override {
    rlimit files{20'000, 20'000};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    auto opened = Source::open(only_flow());
    ASSERT_TRUE(opened) << opened.error().sentence;
    ASSERT_TRUE(opened->has_flow()) << opened->why_not();
    source_.emplace(std::move(*opened));
    govern({server_.id(), client_.id()});
  }
  static Options only_flow() {
    Options options = nothing();
    options.flow = true;
    options.flow_share = 1.0;  // a pass at each request
    return options;
  }
  void govern(std::vector<std::uint64_t> ids) {
    const auto set = source_->set_governed(ids);
    ASSERT_TRUE(set) << set.error().sentence;
    source_->counters();  // the first pass, which separates old sockets from new ones
  }
  sluice_flow flow_of(const Cgroup& cgroup) {
    const sluice_counters counters = counted(*source_, cgroup);
    EXPECT_TRUE(counters.valid & SLUICE_COUNTS_FLOW) << source_->why_not();
    return counters.flow;
  }
  // Waits, because acknowledgements may be in flight.
  template <typename Condition>
  bool soon(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + 1min;  // for a busy host
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(10ms);
    }
    return true;
  }

  Cgroup server_{root() / "server"}, client_{root() / "client"};
  std::optional<Source> source_;
};

TEST_F(Flow, UnreadBytesAreWhatTheSocketsSay) {
  constexpr int kPairs = 200;
  std::optional<Listener> listener;
  Inside(server_).call([&] { listener.emplace(); });
  std::vector<Socket> in, out;
  Inside(client_).call([&] {
    for (int i = 0; i < kPairs; ++i) out.push_back(listener->connect());
  });
  Inside(server_).call([&] {
    for (int i = 0; i < kPairs; ++i) in.push_back(listener->accept());
  });
  std::size_t sent = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t bytes = i * 37 % 5000;  // some get nothing
    if (bytes) out[i].put(bytes);
    sent += bytes;
  }
  const auto unread = [&] {
    return std::accumulate(in.begin(), in.end(), std::size_t{0}, [](std::size_t sum, const Socket& socket) {
      return sum + static_cast<std::size_t>(socket.queued(FIONREAD));
    });
  };
  ASSERT_TRUE(soon([&] { return unread() == sent; }));
  sluice_flow server = flow_of(server_), client = flow_of(client_);
  EXPECT_EQ(server.sockets, static_cast<std::uint64_t>(kPairs));
  EXPECT_EQ(server.unread_bytes, sent);
  EXPECT_EQ(server.received_bytes, sent);
  EXPECT_EQ(server.sent_bytes, 0u);
  EXPECT_EQ(client.sockets, static_cast<std::uint64_t>(kPairs));
  EXPECT_EQ(client.unread_bytes, 0u);
  EXPECT_EQ(client.sent_bytes, sent);
  EXPECT_EQ(client.received_bytes, 0u);
  EXPECT_TRUE(soon([&] { return flow_of(client_).unsent_bytes == 0; }));

  for (std::size_t i = 0; i < in.size(); i += 2)
    if (const auto bytes = static_cast<std::size_t>(in[i].queued(FIONREAD))) in[i].take(bytes);
  server = flow_of(server_);
  EXPECT_EQ(server.unread_bytes, unread());
  EXPECT_LT(server.unread_bytes, sent);
  EXPECT_EQ(server.received_bytes, sent) << "reading moves no total";
  out.clear();
  server = flow_of(server_);
  EXPECT_EQ(server.unread_bytes, unread()) << "the end of a stream is no byte";
  EXPECT_EQ(server.received_bytes, sent);
}

TEST_F(Flow, ShortLivedConnectionsCountToTheByte) {
  constexpr std::size_t kConnections = 1000, kRequest = 10 * 1024, kAnswer = 100;
  std::optional<Listener> listener;
  Inside(server_).call([&] { listener.emplace(); });
  const std::uint64_t passes = source_->stats().flow_passes;
  const Inside client(client_);
  for (std::size_t i = 0; i < kConnections; ++i) {
    Socket out = listener->connect();
    std::optional<Socket> in(listener->accept());  // otherwise the listener's cgroup would own it: see below
    out.put(kRequest);
    in->take(kRequest);
    in->put(kAnswer);
    out.take(kAnswer);
    if (i % 2) in.reset();  // either end may close first
  }
  ASSERT_EQ(source_->stats().flow_passes, passes) << "no pass may help";
  // Accepted by the client's cgroup, so both ends belong to it.
  ASSERT_TRUE(soon([&] { return flow_of(client_).sockets == 0; }));
  const sluice_flow both = flow_of(client_);
  EXPECT_EQ(both.received_bytes, kConnections * (kRequest + kAnswer));
  EXPECT_EQ(both.sent_bytes, kConnections * (kRequest + kAnswer));
  EXPECT_EQ(both.unread_bytes, 0u);
  EXPECT_EQ(both.unsent_bytes, 0u);
  EXPECT_EQ(flow_of(server_).received_bytes, 0u);
  EXPECT_EQ(source_->stats().flow_lost, 0u);
}

TEST_F(Flow, EachEndOfALoopbackConnectionIsItsOwnersWhileItLivesAndAfter) {
  constexpr int kConnections = 50;
  std::optional<Listener> listener;
  Inside(server_).call([&] { listener.emplace(); });
  for (int i = 0; i < kConnections; ++i) {
    std::optional<Socket> out, in;
    Inside(client_).call([&] { out.emplace(listener->connect()); });
    Inside(server_).call([&] { in.emplace(listener->accept()); });
    out->put(1000);
    in->take(1000);
    if (i % 3 == 0) source_->counters();  // a pass visits some of them in between
    in->put(10);
    out->take(10);
  }
  ASSERT_TRUE(soon([&] { return flow_of(client_).sockets + flow_of(server_).sockets == 0; }));
  EXPECT_EQ(flow_of(server_).received_bytes, kConnections * 1000u);
  EXPECT_EQ(flow_of(server_).sent_bytes, kConnections * 10u);
  EXPECT_EQ(flow_of(client_).sent_bytes, kConnections * 1000u);
  EXPECT_EQ(flow_of(client_).received_bytes, kConnections * 10u);
}

TEST_F(Flow, NoSocketsIsNoneAndAListenerIsNone) {
  sluice_flow flow = flow_of(server_);
  EXPECT_EQ(flow.sockets, 0u);
  EXPECT_EQ(flow.received_bytes, 0u);
  std::optional<Listener> listener;
  Inside(server_).call([&] { listener.emplace(); });
  flow = flow_of(server_);
  EXPECT_EQ(flow.sockets, 0u);
  EXPECT_EQ(flow.sent_bytes, 0u);
  EXPECT_GT(flow.at_ktime_ns, 0u);
}

TEST_F(Flow, AReaderThatStopsClosesItsWindow) {
  std::optional<Listener> listener;
  std::optional<Socket> out, in;
  Inside(server_).call([&] { listener.emplace(); });
  Inside(client_).call([&] { out.emplace(listener->connect()); });
  Inside(server_).call([&] { in.emplace(listener->accept()); });
  ASSERT_EQ(fcntl(out->fd(), F_SETFL, O_NONBLOCK), 0);
  const std::string block(1 << 16, 'x');
  const auto stuff = [&] {
    while (send(out->fd(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  };
  ASSERT_TRUE(soon([&] {
    stuff();
    return flow_of(server_).zero_window_ns > 0;
  })) << "the window never closed";
  const sluice_flow before = flow_of(server_);
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(50ms);
    flow_of(server_);
  }
  const sluice_flow after = flow_of(server_);
  const double closed = static_cast<double>(after.zero_window_ns - before.zero_window_ns) /
                        static_cast<double>(after.at_ktime_ns - before.at_ktime_ns);
  EXPECT_NEAR(closed, 1.0, 0.05) << "share of the time that one socket's window was closed";
  EXPECT_EQ(after.unread_bytes, static_cast<std::uint64_t>(in->queued(FIONREAD)));
  EXPECT_EQ(flow_of(client_).unsent_bytes, static_cast<std::uint64_t>(out->queued(SIOCOUTQ)));
  EXPECT_GT(flow_of(client_).unsent_bytes, 0u);

  std::string rest(1 << 20, '\0');
  ASSERT_TRUE(soon([&] {
    while (recv(in->fd(), rest.data(), rest.size(), MSG_DONTWAIT) > 0) {
    }
    return flow_of(client_).unsent_bytes == 0;
  }));
  flow_of(server_);
  const std::uint64_t opened = flow_of(server_).zero_window_ns;
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(flow_of(server_).zero_window_ns, opened);
}

TEST_F(Flow, WhoAcceptsOwnsTheConnectionAndDescendantsCountForTheirAncestor) {
  write_text(server_ / "cgroup.subtree_control", "+cpu");
  Cgroup worker(server_ / "worker");
  std::optional<Listener> listener;
  Inside(client_).call([&] { listener.emplace(); });  // as systemd creates a service's listener
  Socket out = listener->connect();                   // by a process that is not governed
  std::optional<Socket> in;
  Inside(worker).call([&] { in.emplace(listener->accept()); });
  out.put(5000);
  ASSERT_TRUE(soon([&] { return in->queued(FIONREAD) == 5000; }));
  EXPECT_EQ(flow_of(server_).unread_bytes, 5000u);
  EXPECT_EQ(flow_of(server_).received_bytes, 5000u);
  EXPECT_EQ(flow_of(client_).sockets, 0u);
  in.reset();
  EXPECT_EQ(flow_of(server_).received_bytes, 5000u);
}

TEST_F(Flow, WhatWentByBeforeTheTaskWasGovernedIsNotItsTotal) {
  Cgroup late(root() / "late");
  std::optional<Listener> listener;
  std::optional<Socket> out, in;
  Inside(late).call([&] {
    listener.emplace();
    out.emplace(listener->connect());
    in.emplace(listener->accept());
  });
  out->put(1'000);
  in->take(1'000);
  govern({late.id()});
  EXPECT_EQ(flow_of(late).received_bytes, 0u);
  out->put(500);
  in->take(500);
  EXPECT_EQ(flow_of(late).received_bytes, 500u);
  govern({server_.id()});  // released and governed again
  out->put(70);
  in->take(70);
  govern({late.id()});
  out->put(3);
  in->take(3);
  EXPECT_EQ(flow_of(late).received_bytes, 3u);
}

TEST_F(Flow, ATaskInAnotherNetworkNamespaceHasNoFlowToShow) {
  const auto shows_flow = [&](const Cgroup& cgroup) {
    return (counted(*source_, cgroup).valid & SLUICE_COUNTS_FLOW) != 0;
  };
  EXPECT_TRUE(shows_flow(server_));
  {
    Cgroup container(server_ / "container");
    container.run([] {
      if (unshare(CLONE_NEWNET) != 0) _exit(1);
      for (;;) pause();
    });
    const auto elsewhere = [&] {
      std::istringstream pid(read_text(container / "cgroup.procs"));
      std::string name;
      struct stat its = {}, ours = {};
      return pid >> name && stat(("/proc/" + name + "/ns/net").c_str(), &its) == 0 &&
             stat("/proc/self/ns/net", &ours) == 0 && its.st_ino != ours.st_ino;
    };
    ASSERT_TRUE(soon(elsewhere));
    govern({server_.id(), client_.id(), container.id()});  // a new task is checked soon
    EXPECT_FALSE(shows_flow(container));
    EXPECT_TRUE(shows_flow(client_));
    govern({server_.id(), client_.id()});
    EXPECT_TRUE(soon([&] { return !shows_flow(server_); })) << "its descendant is elsewhere";
  }
  EXPECT_TRUE(soon([&] { return shows_flow(server_); })) << "and is gone";
}

TEST_F(Flow, PassesAreSeldomWhereSocketsAreMany) {
  constexpr int kPairs = 1000;
  std::optional<Listener> listener;
  std::vector<Socket> sockets;
  Inside(server_).call([&] {
    listener.emplace();
    for (int i = 0; i < kPairs; ++i) {
      sockets.push_back(listener->connect());
      sockets.push_back(listener->accept());
    }
  });
  std::uint64_t pass_ns = UINT64_MAX, text_ns = UINT64_MAX;
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(flow_of(server_).sockets, 2u * kPairs);
    pass_ns = std::min(pass_ns, source_->stats().flow_pass_ns);
    const auto began = std::chrono::steady_clock::now();
    const int fd = open("/proc/net/tcp", O_RDONLY | O_CLOEXEC);
    static char text[1 << 16];
    while (read(fd, text, sizeof(text)) > 0) {
    }
    close(fd);
    const auto took = std::chrono::nanoseconds(std::chrono::steady_clock::now() - began).count();
    text_ns = std::min(text_ns, static_cast<std::uint64_t>(took));
  }
  RecordProperty("proc_net_tcp_to_pass_ratio",
                 std::to_string(static_cast<double>(text_ns) / static_cast<double>(pass_ns)));
  RecordProperty("pass_usec_per_1000_sockets", std::to_string(pass_ns / 1000 / 2));
  EXPECT_GE(source_->stats().flow_sockets, 2u * kPairs);

  Options seldom = only_flow();
  seldom.flow_share = 0.001;
  auto slow = Source::open(seldom);
  ASSERT_TRUE(slow) << slow.error().sentence;
  const std::uint64_t id = server_.id();
  ASSERT_TRUE(slow->set_governed({&id, 1}));
  std::uint64_t calls = 0;
  const auto end = std::chrono::steady_clock::now() + 3s;
  for (; std::chrono::steady_clock::now() < end; ++calls) {
    slow->counters();
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_GE(slow->stats().flow_passes, 2u);
  EXPECT_LE(slow->stats().flow_passes, 6u) << calls << " calls";
}

}  // namespace
}  // namespace sluice::kernel_test
