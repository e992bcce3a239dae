// Whole lines of a recording: a kind, a running number, tokens, a checksum. What one line leaves to the one
// before it (a task's facts, its last numbers) is remembered here, alike on both sides. Pure; one thread
// each.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "daemon/record/codec.hpp"
#include "daemon/record/entry.hpp"

namespace sluice::record {

// What is known of a task since an earlier line.
struct Known {
  std::string facts;  // as tokens
  Base base;
};

class LineWriter {
 public:
  std::string header(const Header& header);
  std::string line(const ConfigEntry& entry);
  std::string line(const TickEntry& entry);
  std::string line(const EndEntry& entry);
  // The last `lines` were not written after all; only an end may follow.
  void take_back(std::uint64_t lines) { number_ -= lines; }

 private:
  std::string finish(std::string line);
  void tasks(std::string& line, const std::vector<Observation>& tasks);

  std::uint64_t number_ = 0;
  std::map<CgroupId, Known> known_;
};

class LineReader {
 public:
  // Each takes a line without its newline; the error says what was found.
  tl::expected<Header, std::string> header(std::string_view line);
  tl::expected<Entry, std::string> entry(std::string_view line);

 private:
  void tasks(Decoder& in, Input& input);

  std::uint64_t number_ = 0;
  std::size_t config_tasks_ = 0;  // of the configuration in force
  bool config_seen_ = false;
  std::map<CgroupId, Known> known_;
};

// A line with its checksum and newline; and what is before the checksum of one without its newline, if it
// fits.
std::string sealed(std::string line);
tl::expected<std::string_view, std::string> unsealed(std::string_view line);

// The same plan gives the same bytes.
std::string plan_bytes(const Plan& plan);

}  // namespace sluice::record
