// A folder of plain files that replaces /proc: the files that the daemon reads, with values of the model.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {

class Proc {
 public:
  // Creates what is missing below `folder`. Each Proc has its own boot id: a new host is a new boot. So an
  // earlier lease, whose cgroup ids start at the same numbers, is not mistaken for its own.
  static tl::expected<Proc, std::string> create(const std::string& folder, Host& host);

  // Updates the memory values. A reader sees the old text or the new one, never a part.
  tl::expected<void, std::string> refresh(Host& host);

 private:
  explicit Proc(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;
  std::string meminfo_;  // as last written
};

}  // namespace sluice::simhost
