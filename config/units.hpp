// Quantities as people write them, and back; for configurations and sluicectl. The parsers accept negative
// and huge values (they saturate), so that the caller can name the allowed range instead of calling them
// malformed. nullopt: not a quantity of this kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace sluice::config {

// systemd time spans: "100ms", "1h30m", "1h 30min", "1.5s". A number without a unit is not accepted.
std::optional<Duration> parse_duration(std::string_view text);
// "1073741824", "512MiB", "1.5G". All suffixes are powers of 1024: K, M, G, T, P, E, alone or with iB.
std::optional<std::int64_t> parse_bytes(std::string_view text);
// "0.5"; thousandths as in Kubernetes, "500m"; percent of a CPU as in CPUQuota=, "50%".
std::optional<double> parse_cores(std::string_view text);
// "0.001" or "0.1%".
std::optional<double> parse_ratio(std::string_view text);

std::string show_duration(Duration);
std::string show_bytes(std::int64_t);
std::string show_cores(double);
std::string show_ratio(double);
std::string show_number(double);

}  // namespace sluice::config
