// When each record is sent and how much work it is. Computed beforehand from a trace or a shape, so that
// equal options give equal runs. Pure except for reading the trace file.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace sluice::load {

struct Arrival {
  std::int64_t at_usec = 0;  // since the start
  double work = 1;           // in units; the mean of a schedule is about 1
};

struct RatePoint {
  double at_seconds = 0;
  double rate = 0;  // in the trace's own unit; holds until the next point
};

struct Event {
  double at_seconds = 0;
  double work = 1;
};

struct ScheduleOptions {
  double start_seconds = 0;  // where in the trace to begin, in trace time
  double speedup = 1;        // trace seconds per second
  double peak_rate = 50;     // records per second at the peak of the played part
  double duration_seconds = 60;
};

// "t_s,value" with a header line. Throws std::runtime_error that names the line.
std::vector<RatePoint> parse_series(std::istream& in);
// "TIMESTAMP,ContextTokens,GeneratedTokens" with a header line: one record per event, its work in tokens.
std::vector<Event> parse_events(std::istream& in);
// "flat", "burst" (a fifth of the peak, with the peak in the middle third), "step" (a fifth, then the peak)
// or "diurnal" (one smooth hump from a tenth to the peak), over `seconds`. Throws for another name.
std::vector<RatePoint> shape(const std::string& name, double seconds);

// Evenly spaced at the rate of each time, each of one unit; scaled so that the highest played rate is the
// peak.
std::vector<Arrival> schedule_series(const std::vector<RatePoint>& series, const ScheduleOptions& options);
// The events' own times; their work is scaled to a mean of one unit. If more than `peak_rate` are in a
// second, the whole schedule is thinned evenly; events are never added.
std::vector<Arrival> schedule_events(const std::vector<Event>& events, const ScheduleOptions& options);

// `source`: the name of a shape, or a file; a file whose first line starts with TIMESTAMP contains events.
std::vector<Arrival> make_schedule(const std::string& source, const ScheduleOptions& options);

}  // namespace sluice::load
