// The bus: one blocking call per request; each failure is returned as an error.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <tuple>
#include <vector>

#include "daemon/ctl/arguments.hpp"
#include "daemon/ctl/complaint.hpp"
#include "daemon/ctl/value.hpp"

namespace sdbus {
class IConnection;
}

namespace sluice::ctl {

template <class Type>
using Reply = tl::expected<Type, Failure>;

class Client {
 public:
  // Does not start a daemon that is not running, although the bus could. Observes the time limit.
  static Reply<Client> connect(const Asked& asked);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  Reply<Dictionary> manager() const;
  // The properties of each task and its "Path", sorted by name.
  Reply<std::vector<Dictionary>> tasks() const;

  Reply<Dictionary> explain(const std::string& task_path) const;
  Reply<Dictionary> statistics(const std::string& task_path) const;
  // The newest `most` entries (0: all), oldest first.
  Reply<List> history(const std::string& task_path, std::uint32_t most) const;

  Reply<void> pin(const std::string& task_path, const Limits& limits, std::uint64_t ttl_usec,
                  const std::string& reason) const;
  Reply<void> unpin(const std::string& task_path) const;
  Reply<void> suspend(const std::string& task_path, const std::string& reason) const;
  Reply<void> resume(const std::string& task_path) const;

  Reply<void> suspend_all(const std::string& reason) const;
  Reply<void> resume_all() const;
  Reply<void> set_mode(const std::string& mode) const;
  Reply<void> reload() const;
  Reply<void> restore() const;
  // Waits until the new program replies, and returns its version.
  Reply<std::string> reexecute() const;

 private:
  Reply<std::string> owner() const;  // the unique bus name of the daemon
  static Reply<Client> open(const Asked& asked);
  Client(std::unique_ptr<sdbus::IConnection> bus, std::chrono::seconds patience);
  // Waits until `results` are filled; without any, until the call is accepted.
  template <class... Results, class... Arguments>
  Reply<void> call(const std::string& path, const char* interface, const char* method,
                   const std::tuple<Arguments...>& arguments, Results&... results) const;

  std::unique_ptr<sdbus::IConnection> bus_;
  std::chrono::seconds patience_;
};

}  // namespace sluice::ctl
