#include "daemon/decide/forecast.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sluice {
namespace {

using std::chrono::days;
using std::chrono::seconds;
using Bucket = SeasonProfile::Bucket;

constexpr std::int64_t kBucketsMost = 288, kBucketSecondsLeast = 10;
// longest gap between samples that is learned from: seconds; share of a bucket
constexpr double kWindowMost = 3, kWindowShare = 0.25;
constexpr double kClockSet = 2.5;      // seconds that the clocks may differ; the wall clock has whole seconds
constexpr double kCoveredLeast = 0.9;  // share of a bucket that must be covered by samples to be learned
constexpr double kLearn = 0.3;         // weight of the last season
constexpr double kErrorShare = 0.2;    // weight of the last bucket
constexpr double kErrorMost = 0.3;     // error ratio up to which a forecast is trusted
constexpr std::uint32_t kComparedLeast = 3;
constexpr double kIdleCores = 0.02;  // smaller demands are treated as equal
constexpr double kLevelKeep = 0.6;   // factor per bucket: older buckets fade
constexpr double kLevelLeast = 0.5, kLevelMost = 2;
// The floor is the mean less a part of the spread; found with tests/bench. If the backlog is seen, the quota
// may stay below the mean, because a raise is then made in time and is large enough.
constexpr double kOver = 1.1, kSpreads = 0.35, kSpreadsSeen = 0.75;

// Rounds away digits that carry no information, so that the text form is short.
double rounded(double cores) {
  return std::round(cores * 1e5) / 1e5;
}

// Seasons of whole days follow local time, because people do.
std::size_t bucket_at(const SeasonProfile& p, const WallClock& wall, seconds ahead = {}) {
  const bool local = p.season % days{1} == seconds{0};
  const seconds shown = wall.since_epoch + ahead + (local ? wall.utc_offset : seconds{0});
  const auto into = ((shown % p.season) + p.season) % p.season;
  return static_cast<std::size_t>(into.count() * static_cast<std::int64_t>(p.buckets.size()) /
                                  p.season.count());
}

double bucket_seconds(const SeasonProfile& p) {
  return static_cast<double>(p.season.count()) / static_cast<double>(p.buckets.size());
}

double level_of(const SeasonWatch& w) {
  return w.expected > kIdleCores ? std::clamp(w.actual / w.expected, kLevelLeast, kLevelMost) : 1;
}

void compare(double actual, const Bucket& b, SeasonProfile& p, SeasonWatch& w) {
  const double expected = level_of(w) * b.mean_cores;
  const double error = std::abs(actual - expected) / std::max({actual, expected, kIdleCores});
  p.error_ratio = rounded(p.compared == 0 ? error : p.error_ratio + kErrorShare * (error - p.error_ratio));
  p.compared = std::min(p.compared + 1, kComparedLeast);
  w.actual = kLevelKeep * w.actual + actual;
  w.expected = kLevelKeep * w.expected + b.mean_cores;
}

// The current bucket has ended.
void settle(SeasonProfile& p, SeasonWatch& w) {
  const double covered = std::exchange(w.covered_seconds, 0);
  const double work = std::exchange(w.work_seconds, 0), squares = std::exchange(w.squares, 0);
  if (covered < kCoveredLeast * bucket_seconds(p)) return;
  const double mean = work / covered;
  const double spread = std::sqrt(std::max(0.0, squares / covered - mean * mean));
  Bucket& b = p.buckets[w.bucket];
  if (b.seasons > 0) compare(mean, b, p, w);
  const double share = std::max(kLearn, 1.0 / (b.seasons + 1));
  b.mean_cores = rounded(b.mean_cores + share * (mean - b.mean_cores));
  b.spread_cores = rounded(b.spread_cores + share * (spread - b.spread_cores));
  b.seasons = std::min(b.seasons + 1, 1'000'000U);
}

}  // namespace

std::size_t bucket_count(seconds season) {
  return static_cast<std::size_t>(
      std::clamp<std::int64_t>(season.count() / kBucketSecondsLeast, 1, kBucketsMost));
}

SeasonProfile empty_profile(seconds season) {
  SeasonProfile p;
  p.season = season;
  p.buckets.resize(bucket_count(season));
  return p;
}

bool plausible(const SeasonProfile& p) {
  constexpr double kCoresMost = 1e5;
  const auto sound = [&](double v, double most) { return v >= 0 && v <= most; };  // false for NaN
  return p.season >= seconds{kBucketSecondsLeast} && p.season <= days{31} &&
         p.buckets.size() == bucket_count(p.season) && sound(p.error_ratio, 1) &&
         std::all_of(p.buckets.begin(), p.buckets.end(), [&](const Bucket& b) {
           return sound(b.mean_cores, kCoresMost) && sound(b.spread_cores, kCoresMost);
         });
}

void observe_season(const SeasonLook& look, SeasonProfile& p, SeasonWatch& w) {
  const double passed = in_seconds(look.at - w.at);
  const auto by_wall = static_cast<double>((look.wall.since_epoch - w.wall).count());
  const double used = static_cast<double>((look.usage - w.usage).count()) / 1e6;
  const std::size_t bucket = bucket_at(p, look.wall);
  const bool clock_set = w.begun && std::abs(by_wall - passed) > kClockSet;
  if (!w.begun || clock_set) {
    w = {};
    w.begun = true;
    w.bucket = bucket;
  } else if (look.credible && passed > 0 && used >= 0 &&
             passed <= std::max(kWindowMost, kWindowShare * bucket_seconds(p))) {
    w.covered_seconds += passed;
    w.work_seconds += used;
    w.squares += used * used / passed;
  }
  if (bucket != w.bucket) settle(p, w);
  w.bucket = bucket;
  w.at = look.at;
  w.wall = look.wall.since_epoch;
  w.usage = look.usage;
  p.seen_at = look.wall.since_epoch;
}

Forecast forecast(const SeasonProfile& p, const SeasonWatch& w, const WallClock& wall, seconds ahead,
                  bool backlog_seen) {
  Forecast out;
  out.error_ratio = p.error_ratio;
  const double level = level_of(w), over = backlog_seen ? 1 : kOver;
  const double spreads = backlog_seen ? kSpreadsSeen : kSpreads;
  const Bucket& soon = p.buckets[bucket_at(p, wall, ahead)];
  for (const Bucket* b : {&p.buckets[bucket_at(p, wall)], &soon}) {
    if (b->seasons == 0) continue;
    out.cores = std::max(out.cores, level * b->mean_cores);
    out.floor_cores = std::max(out.floor_cores, over * level * (b->mean_cores - spreads * b->spread_cores));
  }
  out.seasons = soon.seasons;
  out.trust = soon.seasons == 0 || p.compared < kComparedLeast ? ForecastTrust::learning
              : p.error_ratio > kErrorMost                     ? ForecastTrust::inaccurate
                                                               : ForecastTrust::trusted;
  return out;
}

}  // namespace sluice
