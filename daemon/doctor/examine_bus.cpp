// Whether there is a bus, and who owns our name there. A bus that hangs costs only a few seconds.
#include <poll.h>
#include <systemd/sd-bus.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>

#include "cgroups/error.hpp"
#include "daemon/doctor/examine.hpp"

namespace sluice::doctor {
namespace {

using Clock = std::chrono::steady_clock;
using Saw = Look::Saw;
constexpr std::chrono::seconds kPatience{3};

// Not flushed: flushing would wait for a bus that hangs.
using Bus = std::unique_ptr<sd_bus, decltype(&sd_bus_close_unref)>;

int open_bus(const std::string& address, Bus& out) {
  sd_bus* bus = nullptr;
  int error = address == "system" ? sd_bus_open_system(&bus) : sd_bus_new(&bus);
  if (error < 0) return error;
  out.reset(bus);
  if (address == "system") return 0;
  if ((error = sd_bus_set_address(bus, address.c_str())) < 0) return error;
  if ((error = sd_bus_set_bus_client(bus, 1)) < 0) return error;
  return sd_bus_start(bus);
}

struct Answer {
  bool came = false;
  int error = 0;  // error number of the reply
  std::string error_name, owner;
};

int take_answer(sd_bus_message* message, void* to, sd_bus_error*) {
  Answer& answer = *static_cast<Answer*>(to);
  answer.came = true;
  if (const sd_bus_error* error = sd_bus_message_get_error(message)) {
    answer.error = sd_bus_message_get_errno(message);
    answer.error_name = error->name ? error->name : "";
    return 0;
  }
  const char* owner = nullptr;
  if (sd_bus_message_read_basic(message, 's', &owner) >= 0) answer.owner = owner;
  return 0;
}

// Returns 0, or a negative errno if the bus failed before it replied.
int wait_for(sd_bus* bus, const Answer& answer) {
  const auto deadline = Clock::now() + kPatience;
  while (!answer.came) {
    const int did = sd_bus_process(bus, nullptr);
    if (did < 0) return did;
    if (did > 0) continue;
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now());
    if (left.count() <= 0) return -ETIMEDOUT;
    const int waited = sd_bus_wait(bus, static_cast<std::uint64_t>(left.count()));
    if (waited < 0 && waited != -EINTR) return waited;
  }
  return 0;
}

}  // namespace

void examine_bus(const Places& places, HostFacts& facts) {
  facts.bus_asked = places.bus != "none";
  if (!facts.bus_asked) return;
  Answer answer;  // outlives the bus, which writes to it
  Bus bus(nullptr, &sd_bus_close_unref);
  const auto unreachable = [&](int error) {
    facts.bus = {Saw::absent,
                 cgroups::describe({-error, {}, "the bus (" + places.bus + ") cannot be reached"})};
  };
  if (const int error = open_bus(places.bus, bus); error < 0) return unreachable(error);
  const int sent = sd_bus_call_method_async(bus.get(), nullptr, "org.freedesktop.DBus",
                                            "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner",
                                            take_answer, &answer, "s", places.bus_name.c_str());
  if (sent < 0) return unreachable(sent);
  if (const int error = wait_for(bus.get(), answer); error < 0) return unreachable(error);
  // The library makes these errors up if the connection ends first: the bus refused us.
  if (answer.error_name == SD_BUS_ERROR_NO_REPLY || answer.error_name == SD_BUS_ERROR_DISCONNECTED)
    return unreachable(-ECONNRESET);
  facts.bus = {Saw::there, places.bus == "system" ? "the system's" : places.bus};
  if (answer.error == 0)
    facts.bus_name = {Saw::there, "by " + answer.owner};
  else if (answer.error_name == SD_BUS_ERROR_NAME_HAS_NO_OWNER)
    facts.bus_name = {Saw::absent, {}};
  else
    facts.bus_name = {Saw::barred, "the bus does not say: " + answer.error_name};
}

}  // namespace sluice::doctor
