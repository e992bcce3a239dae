// Texts with one mistake each, and the exact messages.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "tests/unit/config/parse.hpp"

namespace sluice::config::test {

struct Mistake {
  const char* name;
  const char* text;
  const char* answer;

  friend void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.text; }
};

inline std::string name_of(const testing::TestParamInfo<Mistake>& info) {
  return info.param.name;
}

}  // namespace sluice::config::test
