#include "daemon/publish/bus/bus_filter.hpp"

#include <systemd/sd-bus.h>

#include <exception>
#include <utility>

#include "daemon/publish/bus/bus_names.hpp"

namespace sluice::publish {

namespace {

// What sdbus-c++ wraps; both its versions keep it in this protected member.
struct Raw : sdbus::Message {
  static sd_bus_message* of(sdbus::Message& message) {
    return static_cast<sd_bus_message*>(message.*(&Raw::msg_));
  }
};

std::string_view view(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// Views into the message: a name of 15 MiB is not copied to be refused.
Question question_of(sd_bus_message* message) {
  Question question{.sender = view(sd_bus_message_get_sender(message)),
                    .path = view(sd_bus_message_get_path(message)),
                    .interface = view(sd_bus_message_get_interface(message)),
                    .member = view(sd_bus_message_get_member(message)),
                    .about_interface = {},
                    .about_property = {}};
  if (question.interface != "org.freedesktop.DBus.Properties") return question;
  // A call with other arguments is for the library to refuse.
  const char* name = nullptr;
  if (sd_bus_message_read_basic(message, 's', &name) > 0) question.about_interface = view(name);
  if (question.member != "GetAll" && sd_bus_message_read_basic(message, 's', &name) > 0)
    question.about_property = view(name);
  sd_bus_message_rewind(message, 1);
  return question;
}

int refuse(sd_bus_message* message, const char* name, const char* text) {
  sd_bus_error error{};
  sd_bus_error_set(&error, name, text);
  sd_bus_reply_method_error(message, &error);  // if that fails, so does the connection, and the pump notices
  sd_bus_error_free(&error);
  return 1;
}

// No exception may pass through C.
int on_message(sd_bus_message* message, void* check, sd_bus_error*) {
  if (sd_bus_message_is_method_call(message, nullptr, nullptr) <= 0) return 0;
  try {
    const Verdict verdict = (*static_cast<BusFilter::Check*>(check))(question_of(message));
    if (verdict.is_dropped) return 1;
    return verdict.error == nullptr ? 0 : refuse(message, verdict.error, verdict.text.c_str());
  } catch (const std::exception& e) {
    return refuse(message, error_name::failed, e.what());
  }
}

}  // namespace

BusFilter::BusFilter(sdbus::IProxy& proxy, Check check) : check_(std::move(check)) {
  auto any = proxy.createMethodCall("org.freedesktop.DBus.Peer", "Ping");
  sd_bus_add_filter(sd_bus_message_get_bus(Raw::of(any)), &slot_, on_message, &check_);
}

BusFilter::~BusFilter() {
  sd_bus_slot_unref(slot_);
}

}  // namespace sluice::publish
