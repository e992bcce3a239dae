// The lease: what must be restored if this process ends now. It is a projection of the tick's ManagedLimits
// and decides nothing. A file in the runtime directory, keyed by boot. Limits of cgroups end with the boot,
// so the file must survive the process, not the machine; a write(2) that returned does. One append per tick,
// no fsync, no thread.
//
// An entry is on file before the first order of its limit is sent (covers()). It is removed when no value of
// ours is left in the knob.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/files/directory.hpp"
#include "daemon/limits/lease_entry.hpp"

namespace sluice::actuate {

// The text form: one line per change; the last line of a limit counts. Each line has its boot id and
// checksum, so damage affects single lines only. Pure; any bytes.
struct LeaseText {
  struct BadLine {
    std::size_t number = 0;  // from 1
    std::string why;
  };
  std::vector<LeaseEntry> entries;  // by (id, knob)
  std::size_t other_boots = 0;      // number of entries of another boot
  std::size_t superseded = 0;       // number of lines that later ones replace
  std::vector<BadLine> bad;
  // A last line without newline does not count: a process was killed while it appended, and had not sent an
  // order for it.
  std::size_t whole = 0;  // bytes before that line
};
std::string format_lease(std::span<const LeaseEntry> entries, std::string_view boot_id);
std::string format_lease_change(const LeaseChange& change, std::string_view boot_id);
LeaseText parse_lease(std::string_view text, std::string_view boot_id);
// Makes a line of "BOOT_ID CGROUP_ID KNOB BASELINE OURS PATH": prepends version and checksum.
std::string seal_lease_line(std::string_view body);

// Held by one process (see single_instance.hpp). Not thread-safe.
class Lease {
 public:
  // Reads DIRECTORY/lease; creates the directory (0755) if it is missing. Lines of another boot are dropped.
  // Damaged lines are dropped too, after the file was copied to lease.corrupt. notices() reports both. A full
  // or read-only disk is not an error here: the entries can be read and restored.
  static cgroups::Result<Lease> open(files::Files& files, const std::string& directory, std::string boot_id);

  // Adds the changes to the file in one append. What could not be written is tried again by the next call;
  // until then covers() is false for it. Without changes, and without any from before, it does nothing.
  //
  // If a part of a failed append cannot be cut off, covers() is false for everything until it can: the file
  // may contain more than is known, such as the removal of an entry.
  cgroups::Result<void> apply(std::span<const LeaseChange> changes);

  // True if the file contains that `value` of ours may be in force there.
  [[nodiscard]] bool covers(LeaseKey key, const KnobValue& value) const;
  [[nodiscard]] std::vector<LeaseEntry> entries() const;  // on file, sorted by (id, knob)
  [[nodiscard]] bool empty() const { return on_file_.empty(); }
  // Removes the file when there is nothing to restore. On an error nothing has changed.
  cgroups::Result<void> remove();
  [[nodiscard]] const std::vector<std::string>& notices() const { return notices_; }  // complete sentences

 private:
  using Entries = std::map<LeaseKey, LeaseEntry>;
  Lease(files::Directory directory, std::string boot_id);
  cgroups::Result<void> load();
  bool rewrite();
  [[nodiscard]] bool worth_rewriting() const;

  files::Directory directory_;
  std::string boot_id_;
  files::AppendLog log_;
  Entries on_file_;
  std::map<LeaseKey, LeaseChange> unwritten_;  // the newest change of each limit
  std::size_t live_bytes_ = 0;                 // approximate size of on_file_
  std::vector<std::string> notices_;
};

}  // namespace sluice::actuate
