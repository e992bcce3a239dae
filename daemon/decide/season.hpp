// What is known of a task's demand over a season (usually a day), and the forecast made from it. Values only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace sluice {

// Demand by time of the season. It survives the task and the daemon.
struct SeasonProfile {
  struct Bucket {
    double mean_cores = 0;      // demand in this bucket, over the seasons
    double spread_cores = 0;    // standard deviation from second to second
    std::uint32_t seasons = 0;  // number of seasons in the mean
    bool operator==(const Bucket&) const = default;
  };
  std::chrono::seconds season{};
  std::vector<Bucket> buckets;     // of equal length, from the start of the season
  double error_ratio = 0;          // recent mean of |actual - expected| / the larger of the two
  std::uint32_t compared = 0;      // number of buckets in the error
  std::chrono::seconds seen_at{};  // since the epoch; when the task was last seen
  bool operator==(const SeasonProfile&) const = default;
};

struct NamedProfile {
  std::string task;
  SeasonProfile profile;
};

enum class ForecastTrust : std::uint8_t { learning, inaccurate, trusted };
constexpr std::string_view to_string(ForecastTrust trust) {
  switch (trust) {
    case ForecastTrust::learning:
      return "learning";  // no full season yet, or too few comparisons
    case ForecastTrust::inaccurate:
      return "inaccurate";  // recent errors are too large
    case ForecastTrust::trusted:
      return "trusted";
  }
  return "unknown";
}

struct Forecast {
  config::ForecastMode mode = config::ForecastMode::off;
  ForecastTrust trust = ForecastTrust::learning;
  double cores = 0;        // expected soon
  double floor_cores = 0;  // lower bound of the quota for it
  double error_ratio = 0;
  std::uint32_t seasons = 0;

  bool acts() const { return mode == config::ForecastMode::on && trust == ForecastTrust::trusted; }
};

}  // namespace sluice
