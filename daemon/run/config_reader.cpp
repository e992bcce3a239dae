#include "daemon/run/config_reader.hpp"

#include <boost/asio/post.hpp>
#include <exception>
#include <mutex>
#include <utility>

#include "daemon/process/quiet_thread.hpp"

namespace sluice {
namespace {

using Read = tl::expected<config::Config, ConfigReader::Problems>;

Read read_with(const std::function<config::Result()>& load) {
  try {
    auto loaded = load();
    if (loaded) return std::move(*loaded);
    ConfigReader::Problems problems;
    for (const auto& problem : loaded.error()) problems.push_back(config::describe(problem));
    return tl::unexpected(std::move(problems));
  } catch (const std::exception& e) {
    return tl::unexpected(
        ConfigReader::Problems{std::string("The configuration cannot be read: ") + e.what()});
  }
}

}  // namespace

// What the thread and the reader share.
struct ConfigReader::Reading {
  std::mutex mutex;
  ConfigReader* reader = nullptr;  // none: it is gone, and the io_context may be, too
};

ConfigReader::ConfigReader(boost::asio::io_context& io, Hooks hooks,
                           std::chrono::steady_clock::duration patience)
    : io_(io), hooks_(std::move(hooks)), patience_(patience), timer_(io) {}

ConfigReader::~ConfigReader() {
  if (!reading_) return;
  const std::lock_guard lock(reading_->mutex);
  reading_->reader = nullptr;
}

void ConfigReader::ask(Waiter waiter) {
  next_.push_back(std::move(waiter));
  if (!reading_) start();
}

void ConfigReader::start() {
  waiters_ = std::exchange(next_, {});
  auto reading = reading_ = std::make_shared<Reading>();
  reading->reader = this;
  const auto deliver = [&io = io_, reading](Read read) {
    const std::lock_guard lock(reading->mutex);
    if (reading->reader == nullptr) return;
    boost::asio::post(io, [reading, read = std::move(read)]() mutable {
      // Only the loop's thread, which this is, ends the reader.
      if (reading->reader != nullptr) reading->reader->finish(std::move(read));
    });
  };
  timer_.expires_after(patience_);
  timer_.async_wait([reading](auto error) {
    const auto* reader = reading->reader;
    if (!error && reader != nullptr && reader->reading_ == reading) reader->hooks_.slow();
  });
  const bool runs = process::run_detached([deliver, load = hooks_.load] { deliver(read_with(load)); });
  if (!runs) deliver(tl::unexpected(Problems{"No thread can be made to read the configuration with."}));
}

void ConfigReader::finish(Read read) {
  timer_.cancel();
  const auto answer = hooks_.apply(std::move(read));
  // Still reading, so that a waiter that asks again is one for the next read.
  for (const auto& waiter : std::exchange(waiters_, {}))
    if (waiter) waiter(answer);
  reading_.reset();
  if (!next_.empty()) start();
}

}  // namespace sluice
