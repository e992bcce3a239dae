// Reads the configuration on a thread of its own: a disk or a network file system that takes its time does
// not stop the loop. At most one read at a time. Who asks while one runs is answered by the next one, which
// all of them share: it begins after they asked, so it sees what they wrote. All calls and callbacks are on
// the io_context's thread. Its end waits for no read.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "config/load.hpp"

namespace sluice {

class ConfigReader {
 public:
  using Problems = std::vector<std::string>;  // whole lines
  using Answer = tl::expected<void, Problems>;
  using Waiter = std::function<void(const Answer&)>;  // may be empty
  struct Hooks {
    // On the reading thread, and after the reader's end: it owns what it uses.
    std::function<config::Result()> load;
    std::function<Answer(tl::expected<config::Config, Problems>)> apply;  // what was read
    std::function<void()> slow;  // a read takes longer than `patience`; once a read
  };
  // Most disks answer in milliseconds, a sleeping one in seconds.
  static constexpr auto kPatience = std::chrono::seconds(10);

  ConfigReader(boost::asio::io_context& io, Hooks hooks,
               std::chrono::steady_clock::duration patience = kPatience);
  ConfigReader(const ConfigReader&) = delete;
  ConfigReader& operator=(const ConfigReader&) = delete;
  ~ConfigReader();  // waiters are not called any more

  void ask(Waiter waiter);

 private:
  struct Reading;
  void start();
  void finish(tl::expected<config::Config, Problems> read);

  boost::asio::io_context& io_;
  Hooks hooks_;
  std::chrono::steady_clock::duration patience_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<Reading> reading_;    // none: nothing is being read
  std::vector<Waiter> waiters_, next_;  // for the read that runs, and for the one after it
};

}  // namespace sluice
