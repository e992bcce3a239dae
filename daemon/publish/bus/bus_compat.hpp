// Every difference between sdbus-c++ 1 (Debian 12) and 2 (Debian 13) that we meet. The rest of the room is
// written once, against this header; when Debian 12 goes, so does the #else.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#if __has_include(<sdbus-c++/VTableItems.h>)
#define SLUICE_SDBUS_2 1
#else
#define SLUICE_SDBUS_2 0
#endif

namespace sluice::publish::compat {

enum class Emits : bool { no, yes };

// a{sv}, and one entry of it: Variant's constructor is explicit in sdbus-c++ 2.
using Dictionary = std::map<std::string, sdbus::Variant>;
template <class Value>
Dictionary::value_type entry(const char* key, const Value& value) {
  return {key, sdbus::Variant{value}};
}

#if SLUICE_SDBUS_2

inline sdbus::Error error(const char* name, std::string message) {
  return sdbus::Error{sdbus::Error::Name{name}, std::move(message)};
}
inline std::unique_ptr<sdbus::IObject> create_object(sdbus::IConnection& bus, const std::string& path) {
  return sdbus::createObject(bus, sdbus::ObjectPath{path});
}
inline std::unique_ptr<sdbus::IProxy> create_proxy(sdbus::IConnection& bus, const std::string& service,
                                                   const std::string& path) {
  return sdbus::createProxy(bus, sdbus::ServiceName{service}, sdbus::ObjectPath{path});
}
inline void add_object_manager(sdbus::IConnection& bus, const std::string& path) {
  bus.addObjectManager(sdbus::ObjectPath{path});
}
template <class Handler>  // Handler(message)
sdbus::Slot add_match(sdbus::IConnection& bus, const std::string& match, Handler handler) {
  return bus.addMatch(match, std::move(handler), sdbus::return_slot);
}
inline std::string sender(const sdbus::IObject& object) {
  return object.getCurrentlyProcessedMessage().getSender();
}
inline std::string value_type(const sdbus::Variant& value) {
  const char* type = value.peekValueType();
  return type == nullptr ? "" : type;
}
inline bool process(sdbus::IConnection& bus) {
  return bus.processPendingEvent();
}
inline int event_fd(const sdbus::IConnection::PollData& data) {
  return data.eventFd;
}
inline void emit_changed(sdbus::IObject& object, const std::string& interface,
                         const std::vector<std::string>& names) {
  std::vector<sdbus::PropertyName> typed(names.begin(), names.end());
  object.emitPropertiesChangedSignal(sdbus::InterfaceName{interface}, typed);
}
template <class Reply, class Handler>  // Handler(optional<string> error, Reply)
void call_async(sdbus::IProxy& proxy, const char* method, const char* interface, std::chrono::seconds timeout,
                Handler handler, const auto&... arguments) {
  proxy.callMethodAsync(method)
      .onInterface(interface)
      .withTimeout(timeout)
      .withArguments(arguments...)
      .uponReplyInvoke([handler = std::move(handler)](std::optional<sdbus::Error> failed, Reply reply) {
        handler(failed ? std::optional<std::string>(failed->getMessage()) : std::nullopt, std::move(reply));
      });
}
template <class Handler>  // Handler(optional<string> error): of a method that answers nothing
void call_async_void(sdbus::IProxy& proxy, const char* method, const char* interface,
                     std::chrono::seconds timeout, Handler handler) {
  proxy.callMethodAsync(method).onInterface(interface).withTimeout(timeout).uponReplyInvoke(
      [handler = std::move(handler)](std::optional<sdbus::Error> failed) {
        handler(failed ? std::optional<std::string>(failed->getMessage()) : std::nullopt);
      });
}

// Collects one interface of an object; finish() exports it.
class Interface {
 public:
  Interface(sdbus::IObject& object, std::string name) : object_(object), name_(std::move(name)) {}
  template <class Function>
  void method(const char* name, std::vector<std::string> in, std::vector<std::string> out,
              Function function) {
    items_.push_back(sdbus::registerMethod(name)
                         .withInputParamNames(std::move(in))
                         .withOutputParamNames(std::move(out))
                         .implementedAs(std::move(function)));
  }
  template <class... Arguments>
  void signal(const char* name, std::vector<std::string> names) {
    items_.push_back(sdbus::registerSignal(name).withParameters<Arguments...>(std::move(names)));
  }
  template <class Getter>
  void property(const char* name, Emits emits, Getter getter) {
    items_.push_back(sdbus::registerProperty(name)
                         .withGetter(std::move(getter))
                         .withUpdateBehavior(emits == Emits::yes ? sdbus::Flags::EMITS_CHANGE_SIGNAL
                                                                 : sdbus::Flags::EMITS_NO_SIGNAL));
  }
  void finish() { object_.addVTable(std::move(items_)).forInterface(name_); }

 private:
  sdbus::IObject& object_;
  std::string name_;
  std::vector<sdbus::VTableItem> items_;
};

#else  // sdbus-c++ 1

inline sdbus::Error error(const char* name, const std::string& message) {
  return sdbus::Error{name, message};
}
inline std::unique_ptr<sdbus::IObject> create_object(sdbus::IConnection& bus, const std::string& path) {
  return sdbus::createObject(bus, path);
}
inline std::unique_ptr<sdbus::IProxy> create_proxy(sdbus::IConnection& bus, const std::string& service,
                                                   const std::string& path) {
  return sdbus::createProxy(bus, service, path);
}
inline void add_object_manager(sdbus::IConnection& bus, const std::string& path) {
  bus.addObjectManager(path, sdbus::floating_slot);
}
template <class Handler>
sdbus::Slot add_match(sdbus::IConnection& bus, const std::string& match, Handler handler) {
  return bus.addMatch(match, std::move(handler));
}
inline std::string sender(const sdbus::IObject& object) {
  const sdbus::Message* message = object.getCurrentlyProcessedMessage();
  return message == nullptr ? std::string() : message->getSender();
}
inline std::string value_type(const sdbus::Variant& value) {
  return value.peekValueType();
}
inline bool process(sdbus::IConnection& bus) {
  return bus.processPendingRequest();
}
inline int event_fd(const sdbus::IConnection::PollData&) {
  return -1;
}
inline void emit_changed(sdbus::IObject& object, const std::string& interface,
                         const std::vector<std::string>& names) {
  object.emitPropertiesChangedSignal(interface, names);
}
template <class Reply, class Handler>
void call_async(sdbus::IProxy& proxy, const char* method, const char* interface, std::chrono::seconds timeout,
                Handler handler, const auto&... arguments) {
  // The invoker keeps a reference to the name it is given, so the name must outlive the chain below.
  const std::string name = method;
  proxy.callMethodAsync(name)
      .onInterface(interface)
      .withTimeout(timeout)
      .withArguments(arguments...)
      .uponReplyInvoke([handler = std::move(handler)](const sdbus::Error* failed, Reply reply) {
        handler(failed ? std::optional<std::string>(failed->getMessage()) : std::nullopt, std::move(reply));
      });
}
template <class Handler>
void call_async_void(sdbus::IProxy& proxy, const char* method, const char* interface,
                     std::chrono::seconds timeout, Handler handler) {
  const std::string name = method;
  proxy.callMethodAsync(name).onInterface(interface).withTimeout(timeout).uponReplyInvoke(
      [handler = std::move(handler)](const sdbus::Error* failed) {
        handler(failed ? std::optional<std::string>(failed->getMessage()) : std::nullopt);
      });
}

class Interface {
 public:
  Interface(sdbus::IObject& object, std::string name) : object_(object), name_(std::move(name)) {}
  template <class Function>
  void method(const std::string& name, std::vector<std::string> in, std::vector<std::string> out,
              Function function) {
    object_.registerMethod(name)
        .onInterface(name_)
        .withInputParamNames(std::move(in))
        .withOutputParamNames(std::move(out))
        .implementedAs(std::move(function));
  }
  template <class... Arguments>
  void signal(const std::string& name, std::vector<std::string> names) {
    object_.registerSignal(name).onInterface(name_).withParameters<Arguments...>(std::move(names));
  }
  template <class Getter>
  void property(const std::string& name, Emits emits, Getter getter) {
    object_.registerProperty(name)
        .onInterface(name_)
        .withGetter(std::move(getter))
        .withUpdateBehavior(emits == Emits::yes ? sdbus::Flags::EMITS_CHANGE_SIGNAL
                                                : sdbus::Flags::EMITS_NO_SIGNAL);
  }
  void finish() { object_.finishRegistration(); }

 private:
  sdbus::IObject& object_;
  std::string name_;
};

#endif

}  // namespace sluice::publish::compat
