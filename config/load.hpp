// From TOML to a validated Config, or every reason why not. A Config that comes out of here is complete:
// class defaults are merged into each task, and every range and relation between keys holds.
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
  std::uint32_t line = 0;  // from 1; 0: the file as a whole
  std::uint32_t column = 0;
  std::string key;      // "task[2].cpu.min", tasks counted from 0 in each file; empty: no key in particular
  std::string message;  // what was found, what is allowed
};

// FILE:LINE:COL: key 'task[2].cpu.min': found "-1", must be at least 0.01 cores
std::string describe(const Problem&);

struct Source {
  std::string file;  // for messages only
  std::string text;
};

using Result = tl::expected<Config, std::vector<Problem>>;

// Pure: no I/O. Later sources override earlier ones, key by key; their [[task]] entries are appended, except
// that one with the name of a task from an earlier source replaces it, whole and in its place.
// All problems come at once, in the order of sources and lines. A syntax error hides the rest of its file,
// and then the checks across keys wait until it is mended.
Result parse(std::span<const Source> sources);

// Where load_default looks, weakest first.
struct Search {
  std::vector<std::filesystem::path> files = {"/usr/lib/sluice/sluice.toml", "/etc/sluice/sluice.toml"};
  // *.toml in these override `files`, sorted by name across the directories. Of one name only the last
  // directory's counts, so that an empty file or a link to /dev/null in /etc masks what a package ships.
  std::vector<std::filesystem::path> drop_in_directories = {
      "/usr/lib/sluice/sluice.toml.d", "/run/sluice/sluice.toml.d", "/etc/sluice/sluice.toml.d"};
};

// Missing files and directories are nothing; unreadable ones are Problems.
Result load_default(const Search& search = {});

// One file and no other: not even the shipped defaults. Missing is a Problem.
Result load_file(const std::filesystem::path& path);

// The guaranteed minima of the tasks that stand for one cgroup each (no wildcard) must fit in what the node
// has less its reserve. For the rest only the running daemon knows.
std::optional<Problem> check_minima(const Config& config, double capacity_cores,
                                    std::uint64_t capacity_bytes);

// Sizes that this node cannot give, and may not be meant: warnings, in the order of the files.
std::vector<Problem> check_sizes(const Config& config, double capacity_cores, std::uint64_t capacity_bytes);

}  // namespace sluice::config
