// What is remembered of a task's demand over a season (a day, as a rule), and what is expected from it.
// Values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace sluice {

// Demand by the time of the season. It outlives the task, and the daemon.
struct SeasonProfile {
  struct Bucket {
    double mean_cores = 0;      // of the work done in that time, over the seasons
    double spread_cores = 0;    // from one second to another: the standard deviation
    std::uint32_t seasons = 0;  // that it is of
    bool operator==(const Bucket&) const = default;
  };
  std::chrono::seconds season{};
  std::vector<Bucket> buckets;     // of equal length, from the season's start
  double error_ratio = 0;          // of late: |actual - expected| over the larger of the two
  std::uint32_t compared = 0;      // buckets that the error is of
  std::chrono::seconds seen_at{};  // since the epoch: the last time that the task was there
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
      return "learning";  // no season behind it, or too little to judge it by
    case ForecastTrust::inaccurate:
      return "inaccurate";  // wrong of late
    case ForecastTrust::trusted:
      return "trusted";
  }
  return "unknown";
}

struct Forecast {
  config::ForecastMode mode = config::ForecastMode::off;
  ForecastTrust trust = ForecastTrust::learning;
  double cores = 0;        // expected soon
  double floor_cores = 0;  // what the quota is to be at least, for that
  double error_ratio = 0;
  std::uint32_t seasons = 0;

  bool acts() const { return mode == config::ForecastMode::on && trust == ForecastTrust::trusted; }
};

}  // namespace sluice
