// All sentences about decisions and states, in English. Pure functions; any thread.
#pragma once

#include <string>

#include "daemon/publish/words/spelling.hpp"
#include "daemon/values/report.hpp"

namespace sluice::publish {

std::string value_words(const KnobValue& value);  // "1.20 cores", "512 MiB", "no limit"
// Both values with enough digits to tell them apart: "1.204 GiB -> 1.247 GiB".
std::string change_words(const KnobValue& from, const KnobValue& to);
std::string error_words(int error_number);  // "EACCES (permission denied)"

// The reason without the change: "throttled in 90 % of its periods for 0.9 s; it would use 1.2 cores".
std::string reason_words(Knob knob, const Reason& reason);

// Who set a knob's value, and why: "set 3 s ago; the reason then: ...", "as it was found". The end of a
// sentence that begins with the value.
std::string origin_words(Knob knob, const KnobStory& story, const Reason& reason,
                         std::optional<MonotonicTime> changed_at, MonotonicTime now);

// What cannot be measured, and the consequence: "The memory pressure (PSI) of 3 tasks cannot be read: ...".
std::string pressure_words(std::size_t tasks);

// What opened a breaker; `cause` is used for a failed write.
std::string trip_words(BreakerTrip trip, const std::string& cause);

// What holds a task up: "is throttled by its quota 80 % of the time".
std::string cause_words(const Diagnosis& diagnosis);

// "cpu.max 0.40 cores -> 1.20 cores: throttled in ...". Without the task's name, which is a field of the
// line.
std::string sentence(const Adjustment& adjustment);
std::string sentence(const Write& write);  // of a plan: "cpu.max to 1.20 cores: ..."
std::string sentence(const Notice& notice);
std::string sentence(const Receipt& receipt);  // "writing 512 MiB to /sys/... was refused: EACCES (...)"

// The explanation of a task's two knobs, for Explain. `now` is of the same clock as the report's times.
std::string explanation(const TaskReport& task, MonotonicTime now);

}  // namespace sluice::publish
