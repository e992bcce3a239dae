// Helpers that parse a text and return its problems.
#pragma once

#include <string>
#include <vector>

#include "config/load.hpp"

namespace sluice::config::test {

inline Result parse_text(std::string text) {
  return parse(std::vector<Source>{{"t.toml", std::move(text)}});
}

inline std::vector<std::string> described(const Result& result) {
  std::vector<std::string> texts;
  if (!result) {
    for (const auto& problem : result.error()) texts.push_back(describe(problem));
  }
  return texts;
}

inline std::vector<std::string> problems(std::string text) {
  return described(parse_text(std::move(text)));
}

}  // namespace sluice::config::test
