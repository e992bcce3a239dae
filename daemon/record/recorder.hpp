// Writes a recording from its own thread; the loop never waits for the disk. If the disk is too slow or
// refuses, or the file reaches its size limit, recording ends and governing continues. The file contains
// complete lines only, and its last line is the reason of the end. If that line cannot be written it is tried
// again when the daemon stops. Nothing is synced: the file survives the process, not a crash of the machine.
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
  std::size_t max_queued_samples = 50000;  // not yet written; beyond that the disk is too slow
  std::size_t max_queued_ticks = 10000;
  std::string daemon_version = {};
};

class Recorder {
 public:
  // Creates the file with mode 0600. An existing file is kept as PATH.old; it stays unchanged if the new one
  // cannot be begun. The error is a sentence.
  static tl::expected<std::unique_ptr<Recorder>, std::string> open(
      const std::string& path, RecorderOptions options, files::Files& files = files::posix_files());
  // Writes the queue and an orderly end.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Call from one thread. The first entry is the configuration at start, before the first tick.
  void add(Entry entry);
  // Returns once: a sentence with the reason why recording ended before the daemon, and how many of the ticks
  // added so far are not in the file.
  std::optional<std::string> ended();
  // Number of ticks added so far that are not in the file.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  struct Shared;
  explicit Recorder(std::unique_ptr<Shared> shared);
  std::unique_ptr<Shared> shared_;
};

}  // namespace sluice::record
