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
  std::vector<SeriesRow> rows;  // at least two, times never fall, values are not negative; memory in MiB
  double period_s = 1;          // between rows, median
};

// Reads all *.csv below `dir`, sorted by name. Memory is recognised by the name of its column (mem, rss, mib,
// bytes) or by a README.txt beside the file (`unit: MiB`). A file with other columns is no series and is
// named in `skipped`. The error names file, line and cure.
tl::expected<std::vector<Series>, std::string> read_series(const std::filesystem::path& dir,
                                                           std::vector<std::string>& skipped);

// The mean of the rows in each second of compressed time. A second without rows has the last value.
std::vector<double> by_second(const Series& series, double speedup);

}  // namespace sluice::bench
