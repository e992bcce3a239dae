// Writes a recording from a thread of its own: the loop hands values over and never waits for the disk. When
// the disk is too slow, refuses, or the file has reached its size, recording ends, governing does not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

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
  // The file is made anew, mode 0600; one that is there already is kept as PATH.old. The error is a sentence.
  static tl::expected<std::unique_ptr<Recorder>, std::string> open(const std::string& path,
                                                                   RecorderOptions options);
  // Writes what is queued, and an orderly end.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // One thread. The first entry is the configuration at the start, before the first tick.
  void add(Entry entry);
  // Once: a sentence on why recording ended before the daemon did.
  std::optional<std::string> ended();

 private:
  struct Shared;
  explicit Recorder(std::unique_ptr<Shared> shared);
  std::unique_ptr<Shared> shared_;
};

}  // namespace sluice::record
