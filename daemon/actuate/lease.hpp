// The lease: what every knob held before the first write, on disk before that write, so that the daemon, its
// ExecStopPost or its next start can give it back. Keyed by boot: cgroup ids mean nothing after a reboot.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cgroups/error.hpp"
#include "cgroups/fd.hpp"
#include "cgroups/types.hpp"

namespace sluice::actuate {

struct LeaseEntry {
  CgroupId id;
  std::string path;  // below the cgroup root, raw bytes
  Knob knob = Knob::cpu_max;
  KnobValue baseline;
  bool operator==(const LeaseEntry&) const = default;
};

// The text form, one entry a line, each with its own boot id and checksum, so that a torn or damaged line
// costs itself only. Pure; any bytes.
struct LeaseText {
  struct BadLine {
    std::size_t number = 0;  // from 1
    std::string why;
  };
  std::vector<LeaseEntry> entries;
  std::size_t other_boots = 0;  // intact lines of another boot
  std::vector<BadLine> bad;
};
std::string format_lease(std::span<const LeaseEntry> entries, std::string_view boot_id);
LeaseText parse_lease(std::string_view text, std::string_view boot_id);
// A line of it, from "BOOT_ID CGROUP_ID KNOB VALUE PATH": puts the version and the checksum in front.
std::string seal_lease_line(std::string_view body);

// One process holds it (see single_instance.hpp). Not thread-safe.
class Lease {
 public:
  // Reads <state_dir>/lease; makes the directory (0700) when it is missing. Lines of another boot are
  // dropped, damaged ones too, after a copy of the file was kept as lease.corrupt; notices() tells of both.
  static cgroups::Result<Lease> open(const std::string& state_dir, std::string boot_id);

  // Durable when it returns. A baseline already recorded stays: it is the older, so the true one.
  cgroups::Result<void> add(std::span<const LeaseEntry> entries);
  cgroups::Result<void> remove(std::span<const CgroupId> ids);
  cgroups::Result<void> remove(CgroupId id, Knob knob);
  cgroups::Result<void> clear();

  [[nodiscard]] std::vector<LeaseEntry> entries() const;  // by (id, knob)
  [[nodiscard]] bool holds(CgroupId id, Knob knob) const { return entries_.contains({id, knob}); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] const std::vector<std::string>& notices() const { return notices_; }  // whole sentences

 private:
  using Entries = std::map<std::pair<CgroupId, Knob>, LeaseEntry>;
  Lease(cgroups::Fd dir, std::string dir_path, std::string boot_id);
  cgroups::Result<void> load();
  cgroups::Result<void> store(const Entries& entries);

  cgroups::Fd dir_;
  std::string dir_path_;
  std::string boot_id_;
  Entries entries_;
  std::vector<std::string> notices_;
};

}  // namespace sluice::actuate
