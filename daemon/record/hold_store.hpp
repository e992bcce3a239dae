// Holds, in a file of the runtime directory: they survive the process and its unit, and end with the boot.
// Written whole, by rename, when they change. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "daemon/files/directory.hpp"
#include "daemon/values/holds.hpp"

namespace sluice::record {

// The text form: a line for the node and one for each name, each with its boot id and checksum, so that a
// damaged one costs itself only. Pure; any bytes.
std::string format_holds(const Holds& holds, const std::string& boot_id);
struct HoldText {
  Holds holds;
  std::size_t other_boots = 0;
  std::vector<std::string> bad;  // "line 7 (why)"
};
HoldText parse_holds(std::string_view text, const std::string& boot_id);

class HoldStore {
 public:
  // Reads DIRECTORY/holds; makes the directory (0755) when it is missing. Lines of another boot are dropped.
  // What is damaged or cannot be read is kept as holds.corrupt, and notices() reports it.
  static files::Result<HoldStore> open(files::Files& files, const std::string& directory,
                                       std::string boot_id);
  // These, or after an error those of before.
  files::Result<void> save(const Holds& holds);

  [[nodiscard]] const Holds& loaded() const { return loaded_; }
  [[nodiscard]] const std::vector<std::string>& notices() const { return notices_; }  // whole sentences

 private:
  HoldStore(files::Directory directory, std::string boot_id)
      : directory_(std::move(directory)), boot_id_(std::move(boot_id)) {}

  files::Directory directory_;
  std::string boot_id_;
  Holds loaded_;
  std::vector<std::string> notices_;
};

}  // namespace sluice::record
