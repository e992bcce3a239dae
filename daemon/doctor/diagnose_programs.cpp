// What each kernel program provides, and what replaces it.
#include <algorithm>
#include <array>
#include <string_view>

#include "daemon/doctor/diagnose.hpp"

namespace sluice::doctor {
namespace {

struct Known {
  std::string_view name, instead;
};
constexpr std::array kKnown{
    Known{"bpf-iterator", "Each sample opens and reads the files of each task, which costs more CPU"},
    Known{"bpf-throttle-events", "Throttling is seen at the next tick, not when it begins"},
    Known{"bpf-throttle", "How long the quota held a task back is read from cpu.stat at each tick"},
    Known{"bpf-runqueue", "Waiting for a CPU is not counted, so only cpu.pressure shows a busy node"},
    Known{"bpf-memstall", "Stalls are seen in memory.pressure, OOM kills at the next tick"},
    Known{"bpf-flow", "The backlog in a task's sockets is not seen; it may report its lag (ReportLoad)"},
    Known{"bpf-writer", "A foreign write is noticed, but not who made it"},
};

std::string_view instead_of(std::string_view name) {
  const auto* known = std::ranges::find(kKnown, name, &Known::name);
  return known == kKnown.end() ? "Its signals are absent; signals from files stay" : known->instead;
}

// Why no program can be loaded, so that no further reasons are needed; empty: loading was tried.
struct Common {
  std::string fact, cure;
  bool barred = false;
};
Common common_cause(const HostFacts& facts) {
  if (!facts.cgroup.root.there() && !facts.cgroup.root.absent())
    return {"cannot be tried without seeing cgroup v2", {}, true};
  if (facts.simulated || !facts.cgroup.root.there())
    return {"needs the kernel's own cgroup v2", "see cgroup v2"};
  if (facts.types.absent()) return {"needs BTF", "see BTF"};
  if (facts.may_load.absent()) return {"needs BPF privileges", "see BPF privileges"};
  if (!facts.types.there()) return {"cannot be tried: " + facts.types.detail, {}, true};
  if (!facts.may_load.there()) return {"cannot be tried without BPF privileges", {}, true};
  return {};
}

std::string loaded_fact(const Programs& group) {
  if (group.count == 0) return "loaded";
  std::string fact = "loaded: " + std::to_string(group.count) + (group.count == 1 ? " program" : " programs");
  if (group.verified_insns > 0)
    fact += ", " + std::to_string(group.verified_insns) + " instructions verified";
  return fact;
}

// For programs that failed to load: the loader's message, the replacement, the cure.
std::string means_of(const Programs& group, std::string_view instead) {
  std::string text = group.failure.empty() ? group.gap : group.failure;
  if (text.empty()) text = "The loader does not say why.";
  text.append(text.ends_with('.') ? " " : ". ").append(instead);
  if (group.failure.empty() && !group.gap.empty())
    return text + "; a kernel that has it: Debian's 6.1 or later.";
  if (group.failure.find("not permitted") != std::string::npos)
    return text + "; see that neither lockdown (/sys/kernel/security/lockdown) nor a container forbids it.";
  return text + "; this is the kernel's own text.";
}

void add_group(const Programs& group, const Common& common, std::vector<Row>& rows) {
  const bool tried = common.fact.empty();
  std::string explained_by;  // the row of the group that contains its reasons
  const auto missing = [&](const std::string& name) {
    const std::string instead(instead_of(name));
    if (!tried && common.barred) {
      rows.push_back({name, Status::unknown, common.fact, {}});
    } else if (!tried) {
      rows.push_back({name, Status::missing, common.fact, instead + "; " + common.cure + "."});
    } else if (!explained_by.empty()) {
      rows.push_back({name, Status::missing, "for the reason of " + explained_by, instead + "."});
    } else {
      rows.push_back({name, Status::missing,
                      group.failure.empty() && !group.gap.empty() ? "not on this kernel" : "does not load",
                      means_of(group, instead)});
      explained_by = name;
    }
  };
  const std::size_t first = rows.size();
  std::string counted;
  const auto loaded = [&](const std::string& name) {
    rows.push_back({name, Status::ok, counted.empty() ? loaded_fact(group) : "loaded with " + counted, {}});
    if (counted.empty()) counted = name;
  };
  for (const std::string& name : group.names)
    std::ranges::count(group.loaded, name) > 0 ? loaded(name) : missing(name);
  for (const std::string& name : group.loaded)  // newer than this table
    if (std::ranges::count(group.names, name) == 0) loaded(name);
  if (!tried || (group.gap.empty() && group.failure.empty())) return;
  if (first == rows.size())  // no name of the group is known here, and nothing was loaded
    rows.push_back({"bpf-other", Status::missing, "does not load", means_of(group, instead_of(""))});
  else if (explained_by.empty())  // all are loaded, and one lacks a part
    rows[first].means = group.gap + (group.gap.empty() || group.failure.empty() ? "" : " ") + group.failure;
}

}  // namespace

std::vector<Row> diagnose_programs(const HostFacts& facts) {
  std::vector<Row> rows;
  if (facts.types.there())
    rows.push_back({"BTF", Status::ok, facts.types.detail, {}});
  else if (facts.types.absent())
    rows.push_back({"BTF", Status::missing, facts.types.detail,
                    "No kernel program can be loaded, files are read instead; a kernel with "
                    "CONFIG_DEBUG_INFO_BTF=y."});
  else
    rows.push_back({"BTF", Status::unknown, facts.types.detail, {}});
  if (facts.may_load.there())
    rows.push_back({"BPF privileges", Status::ok, facts.may_load.detail, {}});
  else if (facts.may_load.absent())
    rows.push_back(
        {"BPF privileges", Status::missing, facts.may_load.detail,
         "No kernel program can be loaded, files are read instead; give CAP_BPF and CAP_PERFMON (in "
         "a container --cap-add)."});
  else
    rows.push_back({"BPF privileges", Status::unknown, facts.may_load.detail, {}});

  const Common common = common_cause(facts);
  for (const Programs& group : facts.programs) add_group(group, common, rows);
  return rows;
}

}  // namespace sluice::doctor
