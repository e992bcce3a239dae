// Saves season profiles on disk; they survive a reboot. A thread writes them, so the loop does not wait. At
// most one set is queued; a newer one replaces it and contains everything in it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/decide/season.hpp"
#include "daemon/files/directory.hpp"

namespace sluice::record {

// The text form: one line per task with version and checksum, so that damage affects single lines only. Pure;
// any bytes.
std::string format_profiles(std::span<const NamedProfile> profiles);
struct ProfileText {
  std::vector<NamedProfile> profiles;
  std::vector<std::string> bad;  // "line 7 (why)"
};
ProfileText parse_profiles(std::string_view text);

class ProfileStore {
 public:
  // Reads and creates nothing. The first save creates the folder (0700) if it is missing; the folder must
  // belong to us.
  explicit ProfileStore(const std::string& path, files::Files& files = files::posix_files());
  // Writes the set that was saved last.
  ~ProfileStore();
  ProfileStore(const ProfileStore&) = delete;
  ProfileStore& operator=(const ProfileStore&) = delete;

  struct Loaded {
    std::vector<NamedProfile> profiles;
    std::optional<std::string> notice;  // what could not be used; that file is kept as PATH.corrupt
  };
  Loaded load() const;

  // Writes the whole set or nothing. Call from one thread.
  void save(std::vector<NamedProfile> profiles);
  // Returns one sentence when saving begins to fail.
  std::optional<std::string> failed();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace sluice::record
