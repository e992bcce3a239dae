// Who is behind a bus name. The bus is asked once per connection, without waiting for it.
#pragma once

#include <sdbus-c++/sdbus-c++.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::publish {

struct Caller {
  std::string bus_name;  // unique: ":1.42"
  uid_t uid = 0;
};

// uid 0, and the daemon's own.
bool is_privileged(uid_t uid);

class Callers {
 public:
  explicit Callers(sdbus::IConnection& bus);
  ~Callers();
  Callers(const Callers&) = delete;
  Callers& operator=(const Callers&) = delete;

  // What is known already.
  [[nodiscard]] std::optional<uid_t> uid(const std::string& bus_name) const;
  // Calls `then` with the uid or with the bus's error, at once if it is known. No answer comes after this
  // object's end.
  using Then = std::function<void(std::optional<uid_t> uid, const std::string& error)>;
  void resolve(const std::string& bus_name, Then then);
  // The same, unless it is asked for already, or many are.
  void get_to_know(const std::string& bus_name, Then then);
  void vanished(const std::string& bus_name) { uids_.erase(bus_name); }
  [[nodiscard]] std::size_t known() const { return uids_.size(); }

 private:
  void ask(const std::string& bus_name);
  void answered(const std::string& bus_name, const std::optional<std::string>& error, uid_t uid);

  std::map<std::string, uid_t> uids_;  // unique names are not reused while a bus lives
  std::map<std::string, std::vector<Then>> waiting_;
  std::unique_ptr<sdbus::IProxy> bus_proxy_;  // last: its pending replies call into the above
};

}  // namespace sluice::publish
