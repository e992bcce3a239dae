// What Explain and GetStats answer, as dictionaries. A key that is absent is not known: never zero instead.
#pragma once

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/values/report.hpp"

namespace sluice::publish {

// `now` is the clock that the report's times are of.
compat::Dictionary explanation_entries(const TaskReport& task, MonotonicTime now);
compat::Dictionary statistics_entries(const TaskReport& task, MonotonicTime now);

}  // namespace sluice::publish
