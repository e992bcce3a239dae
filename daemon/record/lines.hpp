// Complete lines of a recording: kind, running number, tokens, checksum. A line may refer to earlier ones (a
// task's facts, its last numbers); writer and reader keep the same memory of them. Pure; use one thread per
// object.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "daemon/record/codec.hpp"
#include "daemon/record/entry.hpp"

namespace sluice::record {

// What earlier lines contain about a task.
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
  // The last `lines` lines were not written; only an end may follow.
  void take_back(std::uint64_t lines) { number_ -= lines; }

 private:
  std::string finish(std::string line);
  void tasks(std::string& line, const std::vector<Observation>& tasks);

  std::uint64_t number_ = 0;
  std::map<CgroupId, Known> known_;
};

class LineReader {
 public:
  // Each takes a line without newline. The error is what was found.
  tl::expected<Header, std::string> header(std::string_view line);
  tl::expected<Entry, std::string> entry(std::string_view line);

 private:
  void tasks(Decoder& in, Input& input);

  std::uint64_t number_ = 0;
  std::size_t config_tasks_ = 0;  // of the configuration in force
  bool config_seen_ = false;
  std::map<CgroupId, Known> known_;
};

// `sealed` appends checksum and newline. `unsealed` takes a line without newline and returns it without the
// checksum, if that is right.
std::string sealed(std::string line);
tl::expected<std::string_view, std::string> unsealed(std::string_view line);

// Equal plans give equal bytes.
std::string plan_bytes(const Plan& plan);

}  // namespace sluice::record
