// Which numbers cannot be, whatever a file says. They are dropped before anything is concluded from them:
// what is not known is never zero, and never lowers a limit. All rules are here. Pure.
//
// A rule belongs here if the kernel cannot break it: a total never falls, nobody uses more CPU time than the
// node has, nothing is larger than the node's memory, no stall lasts longer than the time that passed.
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

// Drops from `now` what cannot be, or could not be read, and says what that was. `before` is the last sample
// of the same cgroup, as it was left by this function; none: there is none.
std::vector<Unknown> drop_implausible(const Sample* before, const NodeFacts& node, Sample& now);

// What a task's samples were already reported for: once for each file, until it has been right for a while.
class Unknowns {
 public:
  // Those that are new.
  std::vector<Unknown> add(const std::vector<Unknown>& found, MonotonicTime now);

 private:
  struct Seen {
    Unknown what;
    MonotonicTime last{};
  };
  std::vector<Seen> seen_;
};

// A node that cannot be: no CPU, no memory, or more of them than any machine has.
bool plausible(const NodeFacts& node);

}  // namespace sluice
