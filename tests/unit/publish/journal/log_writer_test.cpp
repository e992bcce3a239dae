#include "daemon/publish/journal/log_writer.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <future>

namespace sluice::publish {
namespace {

using testing::Contains;
using testing::ElementsAre;

LogRecord lost(std::uint64_t lines) {
  return {"lost " + std::to_string(lines)};
}

// The records that arrived. It has a lock, because a thread fills it.
class Received {
 public:
  bool take(const LogRecord& record) {
    const std::lock_guard lock(mutex_);
    records_.push_back(record.front());
    return true;
  }
  std::vector<std::string> records() const {
    const std::lock_guard lock(mutex_);
    return records_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> records_;
};

TEST(LogWriter, SendsInOrder) {
  Received received;
  {
    LogWriter writer([&](const LogRecord& record) { return received.take(record); }, lost);
    for (int i = 0; i < 100; ++i) writer.push({std::to_string(i)});
  }  // drains
  const auto sent = received.records();
  ASSERT_EQ(sent.size(), 100U);
  EXPECT_EQ(sent.front(), "0");
  EXPECT_EQ(sent.back(), "99");
}

TEST(LogWriter, AReaderThatHangsCostsLinesAndThatIsSaid) {
  std::promise<void> go;
  const auto gate = go.get_future().share();
  Received received;
  std::uint64_t lines_lost = 0;
  {
    LogWriter writer(
        [&](const LogRecord& record) {
          gate.wait();
          return received.take(record);
        },
        lost);
    for (std::size_t i = 0; i < LogWriter::kMaxRecords + 100; ++i) writer.push({std::to_string(i)});
    lines_lost = writer.lost();
    EXPECT_GE(lines_lost, 99U);  // one may be in the writer
    go.set_value();
    for (int i = 0; i < 60 && received.records().size() < LogWriter::kMaxRecords; ++i) writer.drain();
  }
  EXPECT_THAT(received.records(), Contains("lost " + std::to_string(lines_lost)));
}

TEST(LogWriter, WhatWaitsIsBoundedInBytesToo) {
  std::promise<void> go;
  const auto gate = go.get_future().share();
  LogWriter writer(
      [&](const LogRecord&) {
        gate.wait();
        return true;
      },
      lost);
  const std::string large(LogWriter::kMaxBytes / 8, 'x');
  for (int i = 0; i < 100; ++i) writer.push({large});
  EXPECT_GE(writer.lost(), 100U - 9);
  go.set_value();
}

TEST(LogWriter, WhatDoesNotArriveIsCountedAndSaidWhenSomethingDoes) {
  Received received;
  std::atomic<bool> arrives = false;
  LogWriter writer([&](const LogRecord& record) { return arrives && received.take(record); }, lost);
  for (int i = 0; i < 5; ++i) writer.push({"nobody reads this"});
  writer.drain();
  EXPECT_EQ(writer.lost(), 5U);
  arrives = true;
  writer.push({"somebody does"});
  writer.drain();
  EXPECT_THAT(received.records(), ElementsAre("somebody does", "lost 5"));
  EXPECT_EQ(writer.lost(), 5U);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Threads get a stack size that no address space can provide.
TEST(LogWriter, WithoutAThreadLinesWaitAndArriveAtTheEnd) {
  pthread_attr_t before, huge;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  ASSERT_EQ(pthread_attr_init(&huge), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&huge, std::size_t{1} << 50), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  Received received;
  {
    LogWriter writer([&](const LogRecord& record) { return received.take(record); }, lost);
    writer.push({"one"});
    writer.push({"two"});
    EXPECT_TRUE(received.records().empty());
  }
  EXPECT_THAT(received.records(), ElementsAre("one", "two"));
  ASSERT_EQ(pthread_setattr_default_np(&before), 0);
}
#endif

// Standard error as a pipe, for a test.
class PipedError : public testing::Test {
 public:
  PipedError() : before_(::dup(STDERR_FILENO)) {
    EXPECT_EQ(::pipe(ends_.data()), 0);
    ::dup2(ends_[1], STDERR_FILENO);
    ::close(ends_[1]);
  }
  ~PipedError() override {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    if (ends_[0] >= 0) ::close(ends_[0]);
  }

 protected:
  std::string read_all() const {
    std::string text(100, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends_[0], text.data(), text.size()))));
    return text;
  }
  std::array<int, 2> ends_{-1, -1};
  int before_;
};

TEST_F(PipedError, IsWritten) {
  EXPECT_TRUE(send_to_standard_error({"a line\n"}));
  EXPECT_EQ(read_all(), "a line\n");
}

TEST_F(PipedError, AReaderThatWentAwayIsAnError) {
  const auto handler = std::signal(SIGPIPE, SIG_IGN);
  ::close(std::exchange(ends_[0], -1));
  EXPECT_FALSE(send_to_standard_error({"a line\n"}));
  std::signal(SIGPIPE, handler);
}

TEST_F(PipedError, OneThatSomebodyMadeNonBlockingIsWaitedFor) {
  ASSERT_EQ(::fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
  ASSERT_EQ(::fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096), 4096);
  const std::string line(3000, 'x');
  ASSERT_TRUE(send_to_standard_error({line}));
  auto second = std::async(std::launch::async, [&] { return send_to_standard_error({line}); });
  std::size_t got = 0;
  while (got < 2 * line.size()) {
    const auto more = read_all().size();
    ASSERT_GT(more, 0U);
    got += more;
  }
  EXPECT_TRUE(second.get());
}

}  // namespace
}  // namespace sluice::publish
