// A dictionary as a method's argument, of which no more is read than may be there: the library would turn a
// message of 32 MiB into a million entries, for anybody, before it asks who sent it.
#pragma once

#include <fmt/format.h>
#include <sdbus-c++/sdbus-c++.h>

#include <map>
#include <string>
#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

template <class Value>
struct BoundedMap : std::map<std::string, Value> {
  using std::map<std::string, Value>::map;
};

// Throws when there are too many entries, or when a key is longer than any name. What throws is the answer.
template <class Value>
sdbus::Message& operator>>(sdbus::Message& message, BoundedMap<Value>& map) {
  const std::string entry = std::string("s") + (std::is_same_v<Value, double> ? "d" : "v");
  // sdbus-c++ 1 takes a string, 2 a const char*.
  const char* const type = entry.c_str();
  const std::string dictionary = "{" + entry + "}";
  const char* const container = dictionary.c_str();
  if (!message.enterContainer(container)) return message;
  while (message.enterDictEntry(type)) {
    if (map.size() >= kMaxOptions)
      throw compat::error(error_name::invalid_args,
                          fmt::format("at most {} entries are allowed", kMaxOptions));
    std::string key;
    Value value;
    message >> key;
    if (key.size() > kMaxKeyBytes)
      throw compat::error(
          error_name::invalid_args,
          fmt::format("a key is {} bytes long; at most {} are allowed", key.size(), kMaxKeyBytes));
    message >> value;
    map.emplace(std::move(key), std::move(value));
    message.exitDictEntry();
  }
  message.clearFlags();
  message.exitContainer();
  return message;
}

}  // namespace sluice::publish

template <class Value>
struct sdbus::signature_of<sluice::publish::BoundedMap<Value>>
    : sdbus::signature_of<std::map<std::string, Value>> {};
