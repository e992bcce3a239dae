#include "tests/kernel/load/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <numbers>
#include <stdexcept>
#include <string_view>

namespace sluice::load {
namespace {

constexpr double kUsecPerSecond = 1e6;

double number(std::string_view text, std::size_t line) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    throw std::runtime_error(fmt::format("line {}: '{}' is no number", line, text));
  return value;
}

std::vector<std::string_view> columns(std::string_view line) {
  std::vector<std::string_view> found;
  while (true) {
    const auto comma = line.find(',');
    found.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return found;
    line.remove_prefix(comma + 1);
  }
}

// Calls row(columns, line number) for each line after the header.
template <class Row>
void each_row(std::istream& in, std::size_t width, Row row) {
  std::string text;
  std::size_t line = 1;
  if (!std::getline(in, text)) throw std::runtime_error("the file is empty");
  while (std::getline(in, text)) {
    ++line;
    if (!text.empty() && text.back() == '\r') text.pop_back();
    if (text.empty()) continue;
    const auto found = columns(text);
    if (found.size() != width)
      throw std::runtime_error(fmt::format("line {}: {} columns, not {}", line, found.size(), width));
    row(found, line);
  }
}

// "2023-11-16 18:17:03.9799600" as seconds since midnight; traces across midnight are not supported.
double time_of_day_seconds(std::string_view stamp, std::size_t line) {
  if (stamp.size() < 19 || stamp[10] != ' ' || stamp[13] != ':' || stamp[16] != ':')
    throw std::runtime_error(fmt::format("line {}: '{}' is no 'YYYY-MM-DD HH:MM:SS.s'", line, stamp));
  return number(stamp.substr(11, 2), line) * 3600 + number(stamp.substr(14, 2), line) * 60 +
         number(stamp.substr(17), line);
}

void thin(std::vector<Arrival>& arrivals, double share) {
  double kept = 0;
  std::erase_if(arrivals, [&](const Arrival&) {
    kept += share;
    if (kept < 1) return true;
    kept -= 1;
    return false;
  });
}

double busiest_second(const std::vector<Arrival>& arrivals) {
  double most = 0;
  for (std::size_t first = 0, last = 0; last < arrivals.size(); ++last) {
    while (arrivals[last].at_usec - arrivals[first].at_usec >= static_cast<std::int64_t>(kUsecPerSecond))
      ++first;
    most = std::max(most, static_cast<double>(last - first + 1));
  }
  return most;
}

}  // namespace

std::vector<RatePoint> parse_series(std::istream& in) {
  std::vector<RatePoint> series;
  each_row(in, 2, [&](const auto& c, std::size_t line) {
    const RatePoint point{number(c[0], line), number(c[1], line)};
    if (point.rate < 0) throw std::runtime_error(fmt::format("line {}: a negative rate", line));
    if (!series.empty() && point.at_seconds <= series.back().at_seconds)
      throw std::runtime_error(fmt::format("line {}: time does not rise", line));
    series.push_back(point);
  });
  return series;
}

std::vector<Event> parse_events(std::istream& in) {
  std::vector<Event> events;
  double first = 0;
  each_row(in, 3, [&](const auto& c, std::size_t line) {
    const double at = time_of_day_seconds(c[0], line);
    if (events.empty()) first = at;
    events.push_back({at - first, number(c[1], line) + number(c[2], line)});
    if (events.size() > 1 && events.back().at_seconds < events[events.size() - 2].at_seconds)
      throw std::runtime_error(fmt::format("line {}: time runs backwards", line));
  });
  return events;
}

std::vector<RatePoint> shape(const std::string& name, double seconds) {
  constexpr int kPoints = 300;
  std::vector<RatePoint> series;
  for (int i = 0; i < kPoints; ++i) {
    const double x = static_cast<double>(i) / kPoints;
    double rate = 1;
    if (name == "burst") {
      rate = x >= 1.0 / 3 && x < 2.0 / 3 ? 1 : 0.2;
    } else if (name == "step") {
      rate = x < 0.5 ? 0.2 : 1;
    } else if (name == "diurnal") {
      rate = 0.1 + 0.9 * (0.5 - 0.5 * std::cos(2 * std::numbers::pi * x));
    } else if (name != "flat") {
      throw std::runtime_error("'" + name + "' is neither a file nor one of flat, burst, step, diurnal");
    }
    series.push_back({x * seconds, rate});
  }
  return series;
}

std::vector<Arrival> schedule_series(const std::vector<RatePoint>& series, const ScheduleOptions& options) {
  const double end = options.start_seconds + options.duration_seconds * options.speedup;
  // The part of each point that is played, in played seconds.
  struct Part {
    double from, to, rate;
  };
  std::vector<Part> parts;
  double highest = 0;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const double last_step = i > 0 ? series[i].at_seconds - series[i - 1].at_seconds : end;
    const double until = i + 1 < series.size() ? series[i + 1].at_seconds : series[i].at_seconds + last_step;
    const double from = std::max(series[i].at_seconds, options.start_seconds), to = std::min(until, end);
    if (from >= to) continue;
    parts.push_back({(from - options.start_seconds) / options.speedup,
                     (to - options.start_seconds) / options.speedup, series[i].rate});
    highest = std::max(highest, series[i].rate);
  }
  if (highest <= 0) throw std::runtime_error("the trace has no load in the part that is played");
  std::vector<Arrival> arrivals;
  double due = 0.5;  // records since the start; one is sent when this reaches the next whole number
  for (const auto& part : parts) {
    const double rate = part.rate / highest * options.peak_rate;
    double at = part.from;
    while (rate > 0) {
      const double next = at + (1 - due) / rate;
      if (next >= part.to) break;
      arrivals.push_back({static_cast<std::int64_t>(next * kUsecPerSecond), 1});
      at = next;
      due = 0;
    }
    due += rate * (part.to - at);
  }
  return arrivals;
}

std::vector<Arrival> schedule_events(const std::vector<Event>& events, const ScheduleOptions& options) {
  std::vector<Arrival> arrivals;
  for (const auto& e : events) {
    const double at = (e.at_seconds - options.start_seconds) / options.speedup;
    if (at >= 0 && at < options.duration_seconds)
      arrivals.push_back({static_cast<std::int64_t>(at * kUsecPerSecond), e.work});
  }
  // Thinning keeps a share of each second only on average, so it may need several rounds.
  for (double busiest = busiest_second(arrivals); busiest > options.peak_rate;
       busiest = busiest_second(arrivals))
    thin(arrivals, std::min(options.peak_rate / busiest, 0.98));
  double sum = 0;
  for (const auto& a : arrivals) sum += a.work;
  if (sum <= 0) throw std::runtime_error("the trace has no events in the part that is played");
  for (auto& a : arrivals) a.work *= static_cast<double>(arrivals.size()) / sum;
  return arrivals;
}

std::vector<Arrival> make_schedule(const std::string& source, const ScheduleOptions& options) {
  std::ifstream file(source);
  if (!file) {
    if (source.find('/') != std::string::npos) throw std::runtime_error(source + ": cannot be read");
    return schedule_series(shape(source, options.duration_seconds * options.speedup), options);
  }
  constexpr std::string_view kEventsHeader = "TIMESTAMP";
  std::array<char, kEventsHeader.size()> head{};
  file.read(head.data(), head.size());
  file.clear();
  file.seekg(0);
  try {
    if (std::string_view(head.data(), head.size()) == kEventsHeader)
      return schedule_events(parse_events(file), options);
    return schedule_series(parse_series(file), options);
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(source + ": " + e.what());
  }
}

}  // namespace sluice::load
