#include "daemon/publish/bus/object_context.hpp"

#include <fmt/format.h>

#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {

const char* error_name_of(CommandError::Kind kind) {
  switch (kind) {
    case CommandError::Kind::no_such_task:
      return error_name::no_such_task;
    case CommandError::Kind::pinned:
      return error_name::pinned;
    case CommandError::Kind::limit_out_of_range:
      return error_name::limit_out_of_range;
    case CommandError::Kind::unsupported:
      return error_name::unsupported;
  }
  return error_name::failed;
}

}  // namespace

void ObjectContext::submit(Command command) const {
  const auto accepted = hooks.submit(std::move(command));
  if (!accepted) throw compat::error(error_name_of(accepted.error().kind), accepted.error().message);
}

void ObjectContext::check_room(const std::string& task) const {
  if (model.held(task) == nullptr && model.holds() >= kMaxHolds) {
    throw compat::error(error_name::limits_exceeded,
                        fmt::format("{} tasks are held already; unpin or resume one first", kMaxHolds));
  }
}

void ObjectContext::check_owner(const std::string& task, const Caller& caller) const {
  const auto* hold = model.held(task);
  if (hold == nullptr || caller.uid == 0 || caller.uid == hold->uid) return;
  throw compat::error(error_name::not_owner, fmt::format("'{}' is held by uid {}, and you are uid {}",
                                                         c_escape(task), hold->uid, caller.uid));
}

void ObjectContext::pin(PinCommand command, const Caller& caller) const {
  check_room(command.task);
  check_owner(command.task, caller);
  command.uid = caller.uid;
  submit(std::move(command));
}

void ObjectContext::unpin(const std::string& task, const Caller& caller) const {
  check_owner(task, caller);
  submit(UnpinCommand{task});
}

void ObjectContext::suspend(const std::string& task, const std::string& reason, const Caller& caller) const {
  check_room(task);
  check_owner(task, caller);
  submit(SuspendCommand{task, reason, caller.uid});
}

void ObjectContext::resume(const std::string& task, const Caller& caller) const {
  check_owner(task, caller);
  submit(ResumeCommand{task});
}

}  // namespace sluice::publish
