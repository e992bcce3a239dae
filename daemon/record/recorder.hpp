// Writes a recording from a thread of its own: the loop hands values over and never waits for the disk. When
// the disk is too slow, refuses, or the file has reached its size, recording ends, governing does not. The
// file then has whole lines only, and says at its end why it ended; if that cannot be written either, it is
// tried once more when the daemon stops. It survives the process, not the machine: nothing is synced.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "daemon/files/directory.hpp"
#include "daemon/record/entry.hpp"

namespace sluice::record {

struct RecorderOptions {
  std::uint64_t max_bytes = 1ULL << 30;    // of the file
  std::size_t max_queued_samples = 50000;  // not yet written; more means that the disk is too slow
  std::size_t max_queued_ticks = 10000;
  std::string daemon_version = {};
};

class Recorder {
 public:
  // The file is made anew, mode 0600; one that is there already is kept as PATH.old, and stays as it is if
  // the new one cannot be begun. The error is a sentence.
  static tl::expected<std::unique_ptr<Recorder>, std::string> open(
      const std::string& path, RecorderOptions options, files::Files& files = files::posix_files());
  // Writes what is queued, and an orderly end.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // One thread. The first entry is the configuration at the start, before the first tick.
  void add(Entry entry);
  // Once: a sentence on why recording ended before the daemon did, and how many ticks that were handed over
  // by then are not in the file.
  std::optional<std::string> ended();
  // Ticks that were handed over and are not in the file, until now.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  struct Shared;
  explicit Recorder(std::unique_ptr<Shared> shared);
  std::unique_ptr<Shared> shared_;
};

}  // namespace sluice::record
