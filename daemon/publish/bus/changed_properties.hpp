// Which of an object's signalled properties changed since the last look. Keeps a hash of each value, not the
// value: a thousand tasks are looked at once a second.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/publish/bus/bus_compat.hpp"

namespace sluice::publish {

class ChangedProperties {
 public:
  // `visit_all(visit)` calls visit(name, Emits, value) for every property, always in the same order.
  template <class VisitAll>
  std::vector<std::string> look(VisitAll&& visit_all) {
    std::vector<std::string> changed;
    std::size_t i = 0;
    visit_all([&](const char* name, compat::Emits emits, const auto& value) {
      if (emits == compat::Emits::no) return;
      const std::size_t hash = hash_of(value);
      if (i == hashes_.size()) {
        hashes_.push_back(hash);
      } else if (hashes_[i] != hash) {
        hashes_[i] = hash;
        changed.emplace_back(name);
      }
      ++i;
    });
    return changed;
  }

 private:
  template <class Value>
  static std::size_t hash_of(const Value& value) {
    return std::hash<Value>{}(value);
  }
  template <class Element>
  static std::size_t hash_of(const std::vector<Element>& values) {
    std::size_t hash = values.size();
    for (const auto& value : values) hash = hash * 1'000'003 + std::hash<std::string>{}(value);
    return hash;
  }
  std::vector<std::size_t> hashes_;
};

}  // namespace sluice::publish
