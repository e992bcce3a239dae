// Counters of the kernel programs, as facts of a sample.
#pragma once

#include <optional>

#include "bpf/wire/counters.h"
#include "daemon/sample/snapshot.hpp"
#include "daemon/values/report.hpp"

namespace sluice::sample {

// The last moment without a runnable thread, until the sample was read. Pure.
std::optional<MonotonicTime> idle_until(const sluice_idle& idle, const Sample& sample);

// Only counters marked valid become present. Call it last, because it uses the walk's part of the sample.
void add_counters(const sluice_counters& counters, Sample& sample);

// The knob of the event. A knob number that a newer kernel program may send counts as cpu.max.
Knob knob_of(const sluice_write_event& event);

// The path's end, such as "foo.service", from the names of the writer's cgroup and its ancestors.
Writer writer_of(const sluice_write_event& event);

}  // namespace sluice::sample
