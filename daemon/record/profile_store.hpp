// What forecasts have learned, on disk: it survives the machine. The loop hands values over and does not
// wait: a thread writes them. At most one set waits: a newer one takes its place, and says all that it said.
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

// The text form: a line a task, each with its version and checksum, so that a damaged one costs itself only.
// Pure; any bytes.
std::string format_profiles(std::span<const NamedProfile> profiles);
struct ProfileText {
  std::vector<NamedProfile> profiles;
  std::vector<std::string> bad;  // "line 7 (why)"
};
ProfileText parse_profiles(std::string_view text);

class ProfileStore {
 public:
  // Nothing is read or made yet. The folder is made (0700) by the first save if it is missing, and has to be
  // ours.
  explicit ProfileStore(const std::string& path, files::Files& files = files::posix_files());
  // Writes what was handed over last.
  ~ProfileStore();
  ProfileStore(const ProfileStore&) = delete;
  ProfileStore& operator=(const ProfileStore&) = delete;

  struct Loaded {
    std::vector<NamedProfile> profiles;
    std::optional<std::string> notice;  // a sentence on what could not be used; it is kept as PATH.corrupt
  };
  Loaded load() const;

  // Whole, or not at all. One thread.
  void save(std::vector<NamedProfile> profiles);
  // Once, a sentence: saving failed, and had not before.
  std::optional<std::string> failed();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace sluice::record
