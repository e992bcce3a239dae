// Saves holds in a file of the runtime directory. They survive the process and the unit, and end with the
// boot. The file is replaced by rename at each change. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "daemon/files/directory.hpp"
#include "daemon/values/holds.hpp"

namespace sluice::record {

// The text form: one line for the node and one per name, each with boot id and checksum, so that damage
// affects single lines only. Pure; any bytes.
std::string format_holds(const Holds& holds, const std::string& boot_id);
struct HoldText {
  Holds holds;
  std::size_t other_boots = 0;
  std::vector<std::string> bad;  // "line 7 (why)"
};
HoldText parse_holds(std::string_view text, const std::string& boot_id);

class HoldStore {
 public:
  // Reads DIRECTORY/holds; creates the directory (0755) if it is missing. Lines of another boot are dropped.
  // A damaged or unreadable file is kept as holds.corrupt and reported by notices().
  static files::Result<HoldStore> open(files::Files& files, const std::string& directory,
                                       std::string boot_id);
  // Replaces the saved holds. After an error the old ones remain.
  files::Result<void> save(const Holds& holds);

  [[nodiscard]] const Holds& loaded() const { return loaded_; }
  [[nodiscard]] const std::vector<std::string>& notices() const { return notices_; }  // complete sentences

 private:
  HoldStore(files::Directory directory, std::string boot_id)
      : directory_(std::move(directory)), boot_id_(std::move(boot_id)) {}

  files::Directory directory_;
  std::string boot_id_;
  Holds loaded_;
  std::vector<std::string> notices_;
};

}  // namespace sluice::record
