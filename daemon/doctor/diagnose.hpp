// Facts to rows and a verdict. Pure: no I/O, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/doctor/facts.hpp"

namespace sluice::doctor {

enum class Status : std::uint8_t { ok, missing, unknown };

struct Row {
  std::string name;
  Status status = Status::ok;
  std::string fact;   // short
  std::string means;  // of what is missing: what Sluice does instead, and the cure. Else a remark, or empty
};

struct Diagnosis {
  std::vector<Row> rows;
  std::vector<std::string> obstacles;  // each a reason why this host cannot be governed at all
  std::size_t gaps = 0;                // rows that are missing
  std::size_t unknown = 0;

  bool can_be_governed() const { return obstacles.empty(); }
};

Diagnosis diagnose(const HostFacts& facts);

// Its part about kernel programs.
std::vector<Row> diagnose_programs(const HostFacts& facts);

// A line for each row, those that need more than a fact with a second one below; the verdict is the last.
std::string text(const Diagnosis& diagnosis);

}  // namespace sluice::doctor
