// A disk whose sync blocks: callers do not wait for it.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "daemon/decide/forecast.hpp"
#include "daemon/record/profile_store.hpp"
#include "tests/support/fake_files.hpp"

namespace sluice::record {
namespace {

// Wraps other files; each sync waits until it is released.
class SlowFiles final : public files::Files {
 public:
  explicit SlowFiles(files::Files& files) : files_(files) {}

  files::Result<void> sync(files::Handle handle) override {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !slow_; });
    --waiting_;
    lock.unlock();
    return files_.sync(handle);
  }
  void wait_until_one_waits() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ > 0; });
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    slow_ = false;
    changed_.notify_all();
  }

  files::Result<files::Handle> open_directory(const std::string& path, mode_t mode) override {
    return files_.open_directory(path, mode);
  }
  files::Result<files::Handle> find_directory(const std::string& path, files::Whose whose) override {
    return files_.find_directory(path, whose);
  }
  files::Result<files::Handle> open(files::Handle directory, const std::string& name,
                                    files::Open how) override {
    return files_.open(directory, name, how);
  }
  void close(files::Handle handle) override { files_.close(handle); }
  files::Result<std::string> read(files::Handle file, std::size_t most) override {
    return files_.read(file, most);
  }
  files::Result<std::size_t> write(files::Handle file, std::string_view text) override {
    return files_.write(file, text);
  }
  files::Result<void> truncate(files::Handle file, std::uint64_t size) override {
    return files_.truncate(file, size);
  }
  files::Result<void> rename(files::Handle directory, const std::string& from,
                             const std::string& to) override {
    return files_.rename(directory, from, to);
  }
  files::Result<void> link(files::Handle directory, const std::string& from, const std::string& to) override {
    return files_.link(directory, from, to);
  }
  files::Result<void> remove(files::Handle directory, const std::string& name) override {
    return files_.remove(directory, name);
  }

 private:
  files::Files& files_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool slow_ = true;
};

std::vector<NamedProfile> named(const std::string& task) {
  return {{task, empty_profile(std::chrono::hours(1))}};
}

TEST(SlowDisk, ProfilesAreHandedOverWithoutWaitingAndOnlyTheNewestWaits) {
  test::FakeFiles files;
  files.make_directory("/state");
  SlowFiles slow(files);
  {
    ProfileStore store("/state/forecasts", slow);
    store.save(named("first"));
    slow.wait_until_one_waits();
    // On the loop's thread: if one of these calls blocked, the test would hang.
    for (int i = 0; i < 1000; ++i) store.save(named("number-" + std::to_string(i)));
    EXPECT_FALSE(store.failed());
    slow.let_go();
  }
  const auto kept = parse_profiles(files.content("/state/forecasts").value_or("")).profiles;
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].task, "number-999");
}

}  // namespace
}  // namespace sluice::record
