// Recorded series from a folder: *.csv with rows `t_s,value`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace sluice::bench {

struct SeriesRow {
  double t_s = 0;
  double value = 0;
};

struct Series {
  enum class Kind : std::uint8_t { load, memory };
  std::string name;
  std::filesystem::path file;
  Kind kind = Kind::load;
  std::vector<SeriesRow> rows;  // at least two, time never backwards, values never below 0; memory in MiB
  double period_s = 1;          // between rows, median
};

// All *.csv below `dir`, by name. What counts memory says so in the name of its column (mem, rss, mib, bytes)
// or in a README.txt beside it (`unit: MiB`). A file whose header has other columns is no series and is named
// in `skipped`. The error names file, line and cure.
tl::expected<std::vector<Series>, std::string> read_series(const std::filesystem::path& dir,
                                                           std::vector<std::string>& skipped);

// The mean of the rows in each second of compressed time; a second without one holds the last value.
std::vector<double> by_second(const Series& series, double speedup);

}  // namespace sluice::bench
