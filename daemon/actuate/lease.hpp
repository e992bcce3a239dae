// The lease: what has to be given back if this process ends now. It is a projection of the tick's
// ManagedLimits and decides nothing. A file in the runtime directory, keyed by boot: limits of cgroups end
// with the boot, so it has to survive the process, not the machine, and a write(2) that returned does. One
// append a tick, no fsync, no thread.
//
// An entry is on file before the first order of its limit goes out (covers()), and is removed when nothing of
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

// The text form: a line for each change, the last one of a limit counts. Each has its own boot id and
// checksum, so a torn or damaged line costs itself only. Pure; any bytes.
struct LeaseText {
  struct BadLine {
    std::size_t number = 0;  // from 1
    std::string why;
  };
  std::vector<LeaseEntry> entries;  // by (id, knob)
  std::size_t other_boots = 0;      // entries of another boot
  std::size_t superseded = 0;       // lines that later ones replace
  std::vector<BadLine> bad;
  // A last line without its end is none of them: a process was killed while it appended, and had sent no
  // order for it.
  std::size_t whole = 0;  // bytes before it
};
std::string format_lease(std::span<const LeaseEntry> entries, std::string_view boot_id);
std::string format_lease_change(const LeaseChange& change, std::string_view boot_id);
LeaseText parse_lease(std::string_view text, std::string_view boot_id);
// A line of it, from "BOOT_ID CGROUP_ID KNOB BASELINE OURS PATH": puts the version and the checksum in front.
std::string seal_lease_line(std::string_view body);

// One process holds it (see single_instance.hpp). Not thread-safe.
class Lease {
 public:
  // Reads DIRECTORY/lease; makes the directory (0755) when it is missing. Lines of another boot are dropped,
  // damaged ones too, after a copy of the file was kept as lease.corrupt; notices() reports both. A disk that
  // is full or read-only is no reason to fail: what is there can be read, and given back.
  static cgroups::Result<Lease> open(files::Files& files, const std::string& directory, std::string boot_id);

  // Makes the file say so, in one append. What could not be written is tried again by the next call; until
  // then covers() denies it. Without changes it does nothing, unless something is left from before.
  //
  // While a part of a failed append could not be cut off, covers() denies everything: the file may say more
  // than what is known of it, such as that an entry is gone.
  cgroups::Result<void> apply(std::span<const LeaseChange> changes);

  // Whether the file says that `value` of ours may be in force there.
  [[nodiscard]] bool covers(LeaseKey key, const KnobValue& value) const;
  [[nodiscard]] std::vector<LeaseEntry> entries() const;  // on file, by (id, knob)
  [[nodiscard]] bool empty() const { return on_file_.empty(); }
  // Nothing is left to give back: the file goes. An error: all is as it was.
  cgroups::Result<void> remove();
  [[nodiscard]] const std::vector<std::string>& notices() const { return notices_; }  // whole sentences

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
  std::map<LeaseKey, LeaseChange> unwritten_;  // the newest of each limit
  std::size_t live_bytes_ = 0;                 // of on_file_, about
  std::vector<std::string> notices_;
};

}  // namespace sluice::actuate
