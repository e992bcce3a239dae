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
  std::string means;  // if missing: what Sluice does instead, and the cure; otherwise a remark or empty
};

struct Diagnosis {
  std::vector<Row> rows;
  std::vector<std::string> obstacles;  // reasons why this host cannot be governed at all
  std::size_t gaps = 0;                // number of missing rows
  std::size_t unknown = 0;

  bool can_be_governed() const { return obstacles.empty(); }
};

Diagnosis diagnose(const HostFacts& facts);

// The rows of the kernel programs.
std::vector<Row> diagnose_programs(const HostFacts& facts);

// One line per row, and a second one below if more than the fact is needed. The last line is the verdict.
std::string text(const Diagnosis& diagnosis);

}  // namespace sluice::doctor
