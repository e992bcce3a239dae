// A configuration that is slow to read: the loop continues, and each request is answered by a read that began
// after it.
#include "daemon/run/config_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

namespace sluice {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Files on a disk that responds when the test permits it. Each read sees the content at its beginning.
class SlowFiles {
 public:
  config::Result load() {
    std::unique_lock lock(mutex_);
    ++begun_;
    const auto text = text_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_ || let_ > 0; });
    if (!open_) --let_;
    if (text == "throws") throw std::runtime_error("no memory");
    return config::parse(std::vector<config::Source>{{"test.toml", text}});
  }
  void write(const std::string& text) {
    locked([&] { text_ = text; });
  }
  void let_one() {
    locked([&] { ++let_; });
  }
  void let_all() {
    locked([&] { open_ = true; });
  }
  int begun() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  void wait_until_begun(int reads) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ >= reads; });
  }

 private:
  template <class Change>
  void locked(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  int begun_ = 0, let_ = 0;
  bool open_ = false;
};

std::string mode(const std::string& value) {
  return "[node]\nmode = \"" + value + "\"\n";
}

class ConfigReaderTest : public ::testing::Test {
 public:
  ConfigReaderTest() = default;
  ConfigReaderTest(const ConfigReaderTest&) = delete;
  ConfigReaderTest& operator=(const ConfigReaderTest&) = delete;
  ~ConfigReaderTest() override { files_->let_all(); }

 protected:
  void make(std::chrono::steady_clock::duration patience = 1h) {
    reader_.emplace(io_,
                    ConfigReader::Hooks{.load = [files = files_] { return files->load(); },
                                        .apply = [this](auto read) -> ConfigReader::Answer {
                                          if (!read) return tl::unexpected(std::move(read.error()));
                                          applied_.push_back(read->node.mode);
                                          return {};
                                        },
                                        .slow = [this] { ++slow_; }},
                    patience);
  }
  void ask(const std::string& who) {
    reader_->ask([this, who](const ConfigReader::Answer& answer) {
      answers_.push_back(who + (answer ? ": done" : ": " + answer.error().front()));
    });
  }
  // Runs the loop until this many requests were answered.
  void run_until_answered(std::size_t count) {
    const auto guard = boost::asio::make_work_guard(io_);
    while (answers_.size() < count) io_.run_one();
  }

  std::shared_ptr<SlowFiles> files_ = std::make_shared<SlowFiles>();
  boost::asio::io_context io_{1};
  std::optional<ConfigReader> reader_;
  std::vector<config::Mode> applied_;
  std::vector<std::string> answers_;
  int slow_ = 0;
};

TEST_F(ConfigReaderTest, TheLoopGoesOnWhileAReadHangs) {
  make();
  files_->write(mode("observe"));
  ask("a");
  files_->wait_until_begun(1);
  for (int ticks = 0; ticks < 100; ++ticks) {
    bool ticked = false;
    boost::asio::post(io_, [&] { ticked = true; });
    while (!ticked) io_.run_one();
  }
  EXPECT_THAT(applied_, ElementsAre());
  EXPECT_THAT(answers_, ElementsAre());
  files_->let_one();
  run_until_answered(1);
  EXPECT_THAT(applied_, ElementsAre(config::Mode::observe));
  EXPECT_THAT(answers_, ElementsAre("a: done"));
}

TEST_F(ConfigReaderTest, WhoAsksMeanwhileSharesOneReadThatBeginsLater) {
  make();
  files_->write(mode("observe"));
  ask("a");
  files_->wait_until_begun(1);
  files_->write(mode("enforce"));
  for (const char* who : {"b", "c", "d"}) ask(who);
  EXPECT_EQ(files_->begun(), 1) << "one at a time";
  files_->let_one();
  run_until_answered(1);
  files_->wait_until_begun(2);
  EXPECT_THAT(answers_, ElementsAre("a: done")) << "the others wrote after that read had begun";
  files_->let_one();
  run_until_answered(4);
  EXPECT_THAT(answers_, ElementsAre("a: done", "b: done", "c: done", "d: done"));
  EXPECT_THAT(applied_, ElementsAre(config::Mode::observe, config::Mode::enforce));
  EXPECT_EQ(files_->begun(), 2);
}

TEST_F(ConfigReaderTest, EachReadHasItsOwnAnswer) {
  make();
  files_->write("[node]\nmod = 1\n");
  ask("a");
  files_->wait_until_begun(1);
  files_->write("throws");
  ask("b");
  files_->let_one();
  run_until_answered(1);
  files_->wait_until_begun(2);
  files_->write(mode("dry-run"));
  ask("c");
  files_->let_all();
  run_until_answered(3);
  EXPECT_THAT(answers_[0], HasSubstr("a: test.toml:2"));
  EXPECT_EQ(answers_[1], "b: The configuration cannot be read: no memory");
  EXPECT_EQ(answers_[2], "c: done");
}

TEST_F(ConfigReaderTest, WhoAsksInTheAnswerIsReadForAnew) {
  make();
  files_->let_all();
  reader_->ask([&](const ConfigReader::Answer&) { ask("again"); });
  run_until_answered(1);
  EXPECT_EQ(files_->begun(), 2);
}

TEST_F(ConfigReaderTest, AReadThatTakesLongIsReported) {
  make(1ms);
  ask("a");
  const auto guard = boost::asio::make_work_guard(io_);
  while (slow_ == 0) io_.run_one();
  EXPECT_THAT(answers_, ElementsAre());
  files_->let_all();
  run_until_answered(1);
  EXPECT_EQ(slow_, 1);
}

TEST_F(ConfigReaderTest, ItsEndWaitsForNoReadAndAnswersNobody) {
  make();
  ask("a");
  files_->wait_until_begun(1);
  ask("b");
  reader_.reset();  // returns although the read hangs
  files_->let_all();
  io_.restart();
  io_.run();
  EXPECT_THAT(answers_, ElementsAre());
  EXPECT_THAT(applied_, ElementsAre());
}

}  // namespace
}  // namespace sluice
