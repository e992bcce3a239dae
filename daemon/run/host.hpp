// What the engine needs of a host: which cgroups there are, what they look like, and somebody who carries
// orders out. Two implementations: CgroupHost (cgroupfs, kernel programs, writer threads) and the in-process
// simulated host of the tests, with faults. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cgroups/error.hpp"
#include "cgroups/walk.hpp"
#include "daemon/arbitrate/plan.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice {

class Host {
 public:
  Host() = default;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  virtual ~Host() = default;

  // Every cgroup that can be seen. What could not be entered is in `problems`, and is not gone for that.
  virtual cgroups::Result<cgroups::Walk> walk() = 0;

  // Keeps a cgroup at hand, until close(). ENOENT or ENODEV (means_vanished): the path is free, or another
  // cgroup has taken it. Any other error: it may be there.
  virtual cgroups::Result<void> open(CgroupId id, const std::string& path) = 0;
  // Of one that is open: false only if the kernel says that it is gone.
  virtual bool alive(CgroupId id) = 0;
  virtual void close(CgroupId id) = 0;

  // Which cgroups the last sample() walked past, as one number; 0: not known. While it stays, a walk finds
  // nothing new.
  virtual std::uint64_t tree_stamp() const { return 0; }

  // One sample for each of the ids, in their order, which is ascending; none: not read this time, or not
  // open.
  virtual std::vector<std::optional<Sample>> sample(std::span<const CgroupId> ids) = 0;

  // Never blocks. Every order gets a receipt, in time: one that misses its deadline gets one that says
  // may_land, and another when it has returned.
  virtual void submit(std::vector<Write> orders) = 0;
  virtual std::vector<Receipt> receipts() = 0;
};

}  // namespace sluice
