// Loads TOML into a validated Config, or returns all reasons why not. The resulting Config is complete: class
// defaults are merged into each task, and all ranges and relations between keys hold.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "config/config.hpp"

namespace sluice::config {

struct Problem {
  std::string file;
  std::uint32_t line = 0;  // from 1; 0: the whole file
  std::uint32_t column = 0;
  std::string key;      // "task[2].cpu.min", tasks counted from 0 in each file; empty: no key
  std::string message;  // what was found, and what is allowed
};

// FILE:LINE:COL: key 'task[2].cpu.min': found "-1", must be at least 0.01 cores
std::string describe(const Problem&);

struct Source {
  std::string file;  // for messages only
  std::string text;
};

using Result = tl::expected<Config, std::vector<Problem>>;

// Pure: no I/O. Later sources override earlier ones, key by key. Their [[task]] entries are appended; an
// entry with the name of a task from an earlier source replaces that task completely, in its place. All
// problems are returned at once, in the order of sources and lines. A syntax error hides the rest of its
// file, and the checks across keys are then skipped.
Result parse(std::span<const Source> sources);

// The places that load_default reads, weakest first.
struct Search {
  std::vector<std::filesystem::path> files = {"/usr/lib/sluice/sluice.toml", "/etc/sluice/sluice.toml"};
  // *.toml files in these directories override `files`, sorted by name across the directories. Of files with
  // the same name only that of the last directory counts, so an empty file or a link to /dev/null in /etc
  // masks a packaged file.
  std::vector<std::filesystem::path> drop_in_directories = {
      "/usr/lib/sluice/sluice.toml.d", "/run/sluice/sluice.toml.d", "/etc/sluice/sluice.toml.d"};
};

// Missing files and directories are ignored; unreadable ones are Problems.
Result load_default(const Search& search = {});

// Loads this file only, without the shipped defaults. A missing file is a Problem.
Result load_file(const std::filesystem::path& path);

// The guaranteed minima of tasks that match one cgroup each (no wildcard) must fit into the node less its
// reserve. For the others only the running daemon can tell.
std::optional<Problem> check_minima(const Config& config, double capacity_cores,
                                    std::uint64_t capacity_bytes);

// Warnings for sizes that this node cannot provide and that may be mistakes, in the order of the files.
std::vector<Problem> check_sizes(const Config& config, double capacity_cores, std::uint64_t capacity_bytes);

}  // namespace sluice::config
