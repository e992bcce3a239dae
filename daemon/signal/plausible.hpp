// Implausible readings. They are dropped before anything is concluded from them: an unknown value is never
// zero and never lowers a limit. All rules are here. Pure.
//
// A rule belongs here if the kernel cannot break it: a total never falls, no cgroup uses more CPU time than
// the node has, nothing is larger than the node's memory, no stall is longer than the elapsed time.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/sample/snapshot.hpp"

namespace sluice {

struct Unknown {
  StatFile file{};
  std::string_view fault;
  bool operator==(const Unknown&) const = default;
};

std::string_view file_name(StatFile file);

// Drops readings from `now` that are implausible or could not be read, and returns them. `before` is the last
// sample of the same cgroup, after this function; null: none.
std::vector<Unknown> drop_implausible(const Sample* before, const NodeFacts& node, Sample& now);

// The implausible readings already reported for a task. Each file is reported once, until it was right for a
// while.
class Unknowns {
 public:
  // Returns the new ones.
  std::vector<Unknown> add(const std::vector<Unknown>& found, MonotonicTime now);

 private:
  struct Seen {
    Unknown what;
    MonotonicTime last{};
  };
  std::vector<Seen> seen_;
};

// False for no CPU, no memory, or more of them than any machine has.
bool plausible(const NodeFacts& node);

}  // namespace sluice
