// Sees every call before the library answers it or hands it on. sdbus-c++ has no such thing, sd-bus has.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <functional>
#include <memory>

#include "daemon/publish/bus/front_door.hpp"

struct sd_bus_slot;

namespace sluice::publish {

class BusFilter {
 public:
  using Check = std::function<Verdict(const Question& question)>;
  // `proxy`: any of the connection's. On the thread that processes the bus.
  BusFilter(sdbus::IProxy& proxy, Check check);
  ~BusFilter();
  BusFilter(const BusFilter&) = delete;
  BusFilter& operator=(const BusFilter&) = delete;

 private:
  Check check_;
  sd_bus_slot* slot_ = nullptr;
};

}  // namespace sluice::publish
