#include "daemon/publish/bus/front_door.hpp"

#include <fmt/format.h>

#include <utility>

#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {

// D-Bus's own bound for the names of interfaces, members and connections.
constexpr std::size_t kMaxNameBytes = 255;
constexpr std::size_t kRefusalBytes = 1024;

std::string too_long(const char* what, std::size_t bytes) {
  return fmt::format("the {} is {} bytes long; at most {} are allowed", what, bytes, kMaxNameBytes);
}

// Why a question is too large to be answered, as its answer may repeat it; empty: it is not.
std::string too_large(const Question& question, const std::function<bool(std::string_view path)>& is_task) {
  if (question.about_interface.size() > kMaxNameBytes)
    return too_long("name of the interface", question.about_interface.size());
  if (question.about_property.size() > kMaxNameBytes)
    return too_long("name of the property", question.about_property.size());
  if (question.path.size() > kMaxNameBytes && !is_task(question.path))
    return too_long("path of the object", question.path.size());
  return {};
}

std::string unread_text(Unread::Limit limit, const Asker& asker) {
  const auto text = [](std::size_t bytes, const std::string& whose) {
    return fmt::format(
        "{} MiB of earlier answers to {} have not been read; a connection that does not read them should be "
        "closed",
        bytes / Unread::kMiB, whose);
  };
  switch (limit) {
    case Unread::Limit::connection:
      return text(Unread::kOfRootsConnection, "this connection");
    case Unread::Limit::uid:
      return text(Unread::kOfUid, fmt::format("uid {}", asker.uid.value_or(0)));
    case Unread::Limit::strangers:
      return text(Unread::kOfStrangers, "all users but root");
    case Unread::Limit::privileged:
      return text(Unread::kOfPrivileged, "root");
    case Unread::Limit::unknown:
    case Unread::Limit::none:
      break;
  }
  return "too many answers have not been read, and the bus has not said yet whose this connection is; try "
         "again";
}

}  // namespace

double answer_bytes(const Question& question, std::size_t tasks) {
  constexpr double kLeast = 1024;  // for the work, too
  const auto for_each_task = [&](double bytes) { return bytes * static_cast<double>(tasks); };
  const bool is_of_task =
      question.path.size() > std::string_view(kTaskPath).size() && question.path.starts_with(kTaskPath);
  if (question.member == "GetManagedObjects") return 4096 + for_each_task(1500);
  if (question.member == "GetAll") return 1536 + (is_of_task ? 0 : for_each_task(48));
  if (question.member == "Get") return kLeast + (question.about_property == "Tasks" ? for_each_task(48) : 0);
  if (question.member == "Introspect") return 6144 + (is_of_task ? 0 : for_each_task(32));
  if (question.member == "History" || question.member == "Plan") return 32'768;
  if (question.member == "Explain" || question.member == "GetStats") return 3072;
  return kLeast;
}

Verdict FrontDoor::check(const Question& question, const Asker& asker,
                         const std::function<bool(std::string_view path)>& is_task, std::size_t tasks,
                         RateLimit::TimePoint now) {
  std::string text = too_large(question, is_task);
  const std::size_t bytes =
      text.empty() ? static_cast<std::size_t>(answer_bytes(question, tasks)) : kRefusalBytes;
  auto verdict = judge(question, asker, std::move(text), bytes, now);
  if (!verdict.is_dropped)
    unread_.answered(std::string(question.sender), asker, verdict.error == nullptr ? bytes : kRefusalBytes);
  return verdict;
}

Verdict FrontDoor::judge(const Question& question, const Asker& asker, std::string too_large,
                         std::size_t bytes, RateLimit::TimePoint now) {
  const std::string sender(question.sender);
  Verdict passes{.error = too_large.empty() ? nullptr : error_name::invalid_args,
                 .text = std::move(too_large),
                 .is_dropped = false};
  Verdict dropped{.error = nullptr, .text = {}, .is_dropped = true};
  if (const auto limit = unread_.passed(sender, asker, bytes); limit != Unread::Limit::none) {
    if (!unread_.may_refuse(sender)) return dropped;
    return {.error = limit == Unread::Limit::unknown ? error_name::rate_limited : error_name::limits_exceeded,
            .text = unread_text(limit, asker),
            .is_dropped = false};
  }
  // Strangers who come and go do not keep root from a first word.
  if (unread_.is_on() && !asker.uid && unread_.of(sender) + bytes <= Unread::kAlways) return passes;
  auto& limit = !asker.uid ? newcomers_ : asker.is_privileged ? privileged_ : strangers_;
  const std::string who = asker.uid ? fmt::format("uid {}", *asker.uid) : "connections that are new";
  if (limit.allow(who, now, static_cast<double>(bytes))) return passes;
  if (!refusals_.allow(who, now)) return dropped;
  return {
      .error = error_name::rate_limited,
      .text = fmt::format("{} asked for more than is answered in a short time; try again in a second", who),
      .is_dropped = false};
}

}  // namespace sluice::publish
