#include "daemon/publish/journal/journal_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {

struct NoticeId {
  Notice::Kind kind;
  std::string_view id;
};
constexpr std::array kNoticeIds{
    NoticeId{Notice::Kind::task_added, "4aecbb6a09c148b18b4a006ffc7e5649"},
    NoticeId{Notice::Kind::task_removed, "34faf03c72e6433099fd02cf64ddadb8"},
    NoticeId{Notice::Kind::write_failed, "6f5a91a6c07c43a78b4a259340eeb8b3"},
    NoticeId{Notice::Kind::breaker_opened, "3b7b843c8d974cf6a5106d92ab56d0e4"},
    NoticeId{Notice::Kind::breaker_closed, "80089db5a1c047e88ab9fbcdbc471698"},
    NoticeId{Notice::Kind::foreign_write, "14c59349cde549c690f8059679d68a4e"},
    NoticeId{Notice::Kind::knob_reset, "a14f65b931de48b5b420d802eae8c843"},
    NoticeId{Notice::Kind::saturated, "a6190a95140c4d118dc4c1a6988ba498"},
    NoticeId{Notice::Kind::unsaturated, "76892f6592dd4548aaa4055822c18091"},
    NoticeId{Notice::Kind::mode_changed, "addf08a9ff8c42b789adf172025bd481"},
    NoticeId{Notice::Kind::minima_exceed_capacity, "d051c40793ff462e993394304fabed9c"},
    NoticeId{Notice::Kind::reading_unknown, "0f7d2f9a6c5b4b7b9f6f0c1b8f2a4e37"},
    NoticeId{Notice::Kind::plan_violation, "b84afe5960b941ca976a6f0da71d781e"},
    NoticeId{Notice::Kind::pressure_unknown, "6c41de61746f42b5b5007ced7f84cc40"},
    NoticeId{Notice::Kind::pressure_known, "f38c940c542b4fa3966397df21708f8c"},
};

// For programs: the kernel's spelling of a value, with the burst if there is one.
std::string raw_value(const KnobValue& value) {
  if (const auto* cpu = std::get_if<CpuMax>(&value)) {
    const bool bursts = cpu->burst.value_or(Usec{0}) > Usec{0};
    return fmt::format("{} {}{}", cpu->quota ? std::to_string(cpu->quota->count()) : "max",
                       cpu->period.count(), bursts ? fmt::format(" burst {}", cpu->burst->count()) : "");
  }
  if (const auto* weight = std::get_if<CpuWeight>(&value)) return std::to_string(weight->weight);
  const auto& limit = std::get<MemoryLimit>(value);
  return limit.bytes ? fmt::format("{}", *limit.bytes) : "max";
}

void add_task_fields(Fields& fields, std::string_view task, std::string_view cgroup, std::uint64_t tick) {
  fields.emplace_back("SLUICE_TICK", std::to_string(tick));
  if (!task.empty()) fields.emplace_back("SLUICE_TASK", c_escape(task));
  if (cgroup.empty()) return;
  fields.emplace_back("SLUICE_CGROUP", c_escape(cgroup));
  if (const auto unit = unit_of(cgroup); !unit.empty()) {
    fields.emplace_back("UNIT", c_escape(unit));
    fields.emplace_back("OBJECT_SYSTEMD_UNIT", c_escape(unit));
  }
}

}  // namespace

std::string_view message_id(const Adjustment&) {
  return "cbbf20daa72f44bc86668a2462b500c7";
}

std::string_view message_id(Notice::Kind kind) {
  const auto* found =
      std::find_if(kNoticeIds.begin(), kNoticeIds.end(), [&](const auto& n) { return n.kind == kind; });
  return found == kNoticeIds.end() ? std::string_view() : found->id;
}

std::string_view unit_of(std::string_view cgroup) {
  while (!cgroup.empty()) {
    const auto slash = cgroup.rfind('/');
    const auto component = slash == std::string_view::npos ? cgroup : cgroup.substr(slash + 1);
    if (component.ends_with(".service") || component.ends_with(".scope")) return component;
    if (slash == std::string_view::npos) break;
    cgroup.remove_suffix(cgroup.size() - slash);
  }
  return {};
}

Fields journal_fields(const Adjustment& a, std::uint64_t tick) {
  Fields fields{{"MESSAGE_ID", std::string(message_id(a))},
                {"SLUICE_KNOB", std::string(file_name(a.knob))},
                {"SLUICE_OLD", raw_value(a.old_value)},
                {"SLUICE_NEW", raw_value(a.new_value)},
                {"SLUICE_REASON", std::string(to_string(a.reason.rule))},
                {"SLUICE_CAUSE", std::string(to_string(a.reason.cause))}};
  if (a.dry_run) fields.emplace_back("SLUICE_DRY_RUN", "1");
  if (a.reaction) fields.emplace_back("SLUICE_REACTION_USEC", std::to_string(a.reaction->count() / 1000));
  add_task_fields(fields, a.task, a.cgroup, tick);
  return fields;
}

Fields journal_fields(const Notice& n, std::uint64_t tick) {
  Fields fields{{"MESSAGE_ID", std::string(message_id(n.kind))}};
  if (n.receipt) {
    fields.emplace_back("SLUICE_KNOB", std::string(file_name(n.receipt->knob)));
    fields.emplace_back("SLUICE_NEW", raw_value(n.receipt->asked));
    if (n.receipt->error_number != 0) fields.emplace_back("ERRNO", std::to_string(n.receipt->error_number));
  }
  if (n.trip != BreakerTrip::none) fields.emplace_back("SLUICE_CAUSE", to_string(n.trip));
  if (n.expected) fields.emplace_back("SLUICE_EXPECTED", raw_value(*n.expected));
  if (n.found) fields.emplace_back("SLUICE_FOUND", raw_value(*n.found));
  if (n.writer) {
    fields.emplace_back("SLUICE_WRITER_PID", std::to_string(n.writer->pid));
    fields.emplace_back("SLUICE_WRITER_UID", std::to_string(n.writer->uid));
    fields.emplace_back("SLUICE_WRITER_COMM", c_escape(n.writer->command));
    fields.emplace_back("SLUICE_WRITER_CGROUP", c_escape(n.writer->cgroup));
    if (const auto unit = unit_of(n.writer->cgroup); !unit.empty())
      fields.emplace_back("SLUICE_WRITER_UNIT", c_escape(unit));
  }
  add_task_fields(fields, n.task, n.cgroup, tick);
  return fields;
}

}  // namespace sluice::publish
