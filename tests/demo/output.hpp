// What people see while the demo runs: a table redrawn in place, or lines.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/demo/governor_client.hpp"
#include "tests/demo/model_watch.hpp"

namespace sluice::demo {

struct Row {
  TaskView model;
  std::optional<GovernedTask> governed;
  std::string why;                                    // of its last adjustment
  std::deque<double> usage_history, cpu_max_history;  // cores, a point every frame
};

struct Frame {
  double at_s = 0;
  std::string host;     // its size in words
  std::string address;  // of the bus
  Governor governor;
  std::vector<Row> rows;
  std::uint64_t adjustments = 0;
};

class Output {
 public:
  virtual ~Output() = default;
  // False: nobody reads any more.
  virtual bool adjusted(double at_s, const AdjustmentRow& row) = 0;
  virtual bool frame(const Frame& frame) = 0;
};

std::unique_ptr<Output> make_lines();
std::unique_ptr<Output> make_screen();  // needs a terminal; gives it back as it was

// Writes all of it to standard output. False: nobody reads any more.
bool put(const std::string& text);

}  // namespace sluice::demo
