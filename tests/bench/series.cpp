#include "tests/bench/series.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <string_view>

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;

std::optional<double> number(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(out)) return std::nullopt;
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// MiB per unit that a column name or unit means; absent: it is no amount of memory.
std::optional<double> mib_of(const std::string& words) {
  const auto has = [&](std::string_view word) { return words.find(word) != std::string::npos; };
  if (has("gib")) return 1024;
  if (has("mib")) return 1;
  if (has("kib")) return 1.0 / 1024;
  if (has("mem") || has("rss")) return has("bytes") ? 1.0 / (1 << 20) : 1;
  return std::nullopt;
}

// The unit in the README.txt of a folder with one series.
std::optional<double> unit_beside(const fs::path& file) {
  if (file.stem() != "series") return std::nullopt;
  std::ifstream in(file.parent_path() / "README.txt");
  const std::string text = lower(std::string{std::istreambuf_iterator<char>(in), {}});
  constexpr std::string_view kKey = "unit: ";
  const auto at = text.find(kKey);
  if (at == std::string::npos) return std::nullopt;
  // Only the first word counts: "requests to a pod of 4 GiB" is a load.
  const auto word = at + kKey.size();
  return mib_of(text.substr(word, text.find_first_of(" ;,/\n", word) - word));
}

struct Found {
  std::vector<SeriesRow> rows;
  std::optional<double> mib;
  std::string why;  // not empty: not a series
};

tl::expected<Found, std::string> read_rows(const fs::path& file) {
  std::ifstream in(file);
  if (!in) return tl::unexpected(fmt::format("{}: cannot be opened", file.string()));
  Found out;
  out.mib = unit_beside(file);
  std::string line;
  bool first = true;
  for (int n = 1; std::getline(in, line); ++n) {
    const auto fail = [&](std::string_view what) {
      return tl::unexpected(fmt::format("{}:{}: {}, found '{}'", file.string(), n, what, line.substr(0, 60)));
    };
    if (n == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const auto comma = line.find(',');
    const bool two = comma != std::string::npos && line.find(',', comma + 1) == std::string::npos;
    const auto t = number(std::string_view(line).substr(0, comma));
    const auto value = two ? number(std::string_view(line).substr(comma + 1)) : std::nullopt;
    if (first && !t) {  // a header
      first = false;
      const std::string time = lower(std::string_view(line).substr(0, comma));
      if (!two || (time != "t_s" && time != "t" && time != "seconds")) {
        out.why = "its columns are not t_s,value";
        return out;
      }
      if (const auto mib = mib_of(lower(std::string_view(line).substr(comma + 1)))) out.mib = mib;
      continue;
    }
    if (!two || !t || !value) return fail("expected 't_s,value', two numbers");
    if (*value < 0) return fail("a load or an amount is not below 0");
    if (!out.rows.empty() && *t < out.rows.back().t_s) return fail("time runs backwards");
    out.rows.push_back({*t, *value});
    first = false;
  }
  if (out.rows.size() < 2) {
    return tl::unexpected(
        fmt::format("{}: holds {} rows of 't_s,value', a series needs 2", file.string(), out.rows.size()));
  }
  return out;
}

double median_period(const std::vector<SeriesRow>& rows) {
  std::vector<double> steps;
  for (std::size_t i = 1; i < rows.size(); ++i) steps.push_back(rows[i].t_s - rows[i - 1].t_s);
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle > 0 ? *middle : 1;
}

}  // namespace

tl::expected<std::vector<Series>, std::string> read_series(const fs::path& dir,
                                                           std::vector<std::string>& skipped) {
  std::error_code error;
  if (!fs::is_directory(dir, error)) {
    return tl::unexpected(
        fmt::format("{}: is not a folder of traces (*.csv with rows 't_s,value')", dir.string()));
  }
  std::vector<fs::path> files;
  for (auto it = fs::recursive_directory_iterator(dir, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->path().extension() == ".csv" && it->is_regular_file(error)) files.push_back(it->path());
  }
  if (error) return tl::unexpected(fmt::format("{}: {}", dir.string(), error.message()));
  std::sort(files.begin(), files.end());
  std::vector<Series> out;
  for (const auto& file : files) {
    auto found = read_rows(file);
    if (!found) return tl::unexpected(found.error());
    auto name = fs::relative(file, dir, error);
    if (!found->why.empty()) {
      skipped.push_back(fmt::format("{}: {}", name.string(), found->why));
      continue;
    }
    Series series;
    // A folder with one series gives it its name.
    const bool only = name.has_parent_path() && name.stem() == "series";
    series.name = (only ? name.parent_path() : name.replace_extension()).string();
    series.file = file;
    series.kind = found->mib ? Series::Kind::memory : Series::Kind::load;
    series.rows = std::move(found->rows);
    for (auto& row : series.rows) row.value *= found->mib.value_or(1);
    series.period_s = median_period(series.rows);
    out.push_back(std::move(series));
  }
  if (out.empty()) {
    std::string others;
    for (const auto& s : skipped) others += "\n  left out " + s;
    return tl::unexpected(fmt::format("{}: holds no *.csv with rows 't_s,value'{}", dir.string(), others));
  }
  return out;
}

std::vector<double> by_second(const Series& series, double speedup) {
  const auto& rows = series.rows;
  const double start = rows.front().t_s;
  const double length = (rows.back().t_s + series.period_s - start) / speedup;
  std::vector<double> out(std::max<std::size_t>(1, static_cast<std::size_t>(std::llround(length))));
  std::size_t next = 0;
  double held = rows.front().value;
  for (std::size_t s = 0; s < out.size(); ++s) {
    double sum = 0;
    std::size_t count = 0;
    for (; next < rows.size() && (rows[next].t_s - start) / speedup < static_cast<double>(s + 1) - 1e-9;
         ++next) {
      sum += held = rows[next].value;
      ++count;
    }
    out[s] = count > 0 ? sum / static_cast<double>(count) : held;
  }
  return out;
}

}  // namespace sluice::bench
