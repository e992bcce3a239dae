// A folder of plain files that stands in for /proc: what the daemon asks of it, told by the model.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {

class Proc {
 public:
  // Makes what is missing below `folder`. Each has a boot id of its own: a new host is a new boot, so a lease
  // of an earlier one, whose cgroup ids start again at the same numbers, is not mistaken for its.
  static tl::expected<Proc, std::string> create(const std::string& folder, Host& host);

  // Memory as it is now; a reader sees the old text or the new, never half of one.
  tl::expected<void, std::string> refresh(Host& host);

 private:
  explicit Proc(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;
  std::string meminfo_;  // as last written
};

}  // namespace sluice::simhost
