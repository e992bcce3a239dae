#include "daemon/publish/bus/front_door.hpp"

#include <fmt/format.h>

#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {

// D-Bus's own bound for the names of interfaces, members and connections.
constexpr std::size_t kMaxNameBytes = 255;
constexpr double kRefusalBytes = 1024;

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
  auto& limit = !asker.uid ? newcomers_ : asker.is_privileged ? privileged_ : strangers_;
  const std::string who = asker.uid ? fmt::format("uid {}", *asker.uid) : "connections that are new";
  std::string text = too_large(question, is_task);
  const bool is_too_large = !text.empty();
  if (!limit.allow(who, now, is_too_large ? kRefusalBytes : answer_bytes(question, tasks))) {
    if (!refusals_.allow(who, now)) return {.error = nullptr, .text = {}, .is_dropped = true};
    text = fmt::format("{} asked for more than is answered in a short time; try again in a second", who);
    return {.error = error_name::rate_limited, .text = text, .is_dropped = false};
  }
  return {.error = is_too_large ? error_name::invalid_args : nullptr, .text = text, .is_dropped = false};
}

}  // namespace sluice::publish
