// The names of the D-Bus interface, for those who offer it and those who call it.
#pragma once

#include <cstdint>

namespace sluice::publish {

inline constexpr const char* kBusName = "org.freedesktop.DBus";  // of the bus itself
inline constexpr const char* kServiceName = "org.sluice.Governor1";
inline constexpr const char* kRootPath = "/org/sluice/Governor1";
inline constexpr const char* kTaskPath = "/org/sluice/Governor1/task";
inline constexpr const char* kManagerInterface = "org.sluice.Governor1.Manager";
inline constexpr const char* kTaskInterface = "org.sluice.Governor1.Task";

// The longest time that a pin may be given, but for 18446744073709551615: until it is unpinned.
inline constexpr std::uint64_t kLongestPinUsec = 366ULL * 86'400 * 1'000'000;

namespace error_name {
inline constexpr const char* no_such_task = "org.sluice.Governor1.Error.NoSuchTask";
inline constexpr const char* pinned = "org.sluice.Governor1.Error.Pinned";
inline constexpr const char* not_owner = "org.sluice.Governor1.Error.NotOwner";
inline constexpr const char* limit_out_of_range = "org.sluice.Governor1.Error.LimitOutOfRange";
inline constexpr const char* rate_limited = "org.sluice.Governor1.Error.RateLimited";
inline constexpr const char* unsupported = "org.sluice.Governor1.Error.Unsupported";
inline constexpr const char* invalid_config = "org.sluice.Governor1.Error.InvalidConfig";
// The standard ones, where a standard one says it.
inline constexpr const char* invalid_args = "org.freedesktop.DBus.Error.InvalidArgs";
inline constexpr const char* access_denied = "org.freedesktop.DBus.Error.AccessDenied";
inline constexpr const char* limits_exceeded = "org.freedesktop.DBus.Error.LimitsExceeded";
inline constexpr const char* failed = "org.freedesktop.DBus.Error.Failed";
}  // namespace error_name

}  // namespace sluice::publish
