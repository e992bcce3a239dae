#include "daemon/doctor/diagnose.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sluice::doctor {
namespace {

// As the daemon uses them: cgroups/cgroup.hpp keeps a task's files open, cgroups/fd_limit.cpp keeps a
// reserve.
constexpr std::uint64_t kFilesPerTask = 12, kFilesKeptBack = 128;
constexpr std::uint64_t kTasksAtLeast = 100;

class Rows {
 public:
  explicit Rows(Diagnosis& out) : out_(out) {}
  void ok(std::string name, std::string fact, std::string remark = {}) {
    out_.rows.push_back({std::move(name), Status::ok, std::move(fact), std::move(remark)});
  }
  void missing(std::string name, std::string fact, std::string means) {
    out_.rows.push_back({std::move(name), Status::missing, std::move(fact), std::move(means)});
  }
  void unknown(std::string name, std::string fact) {
    out_.rows.push_back({std::move(name), Status::unknown, std::move(fact), {}});
  }
  // Missing, and Sluice cannot govern without it.
  void fatal(std::string name, std::string fact, std::string means) {
    out_.obstacles.push_back(fact);
    missing(std::move(name), std::move(fact), std::move(means));
  }

 private:
  Diagnosis& out_;
};

// True if a space-separated list contains the word.
bool lists(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto end = std::min(list.find_first_of(" \n"), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

void cgroup_root(const HostFacts& facts, Rows& rows) {
  const CgroupFacts& cgroup = facts.cgroup;
  const char* cure =
      "There is nothing else that Sluice could govern; boot with systemd.unified_cgroup_hierarchy=1, or name "
      "the mount (--cgroup-root).";
  if (cgroup.root.saw == Look::Saw::barred) return rows.unknown("cgroup v2", cgroup.root.detail);
  if (!cgroup.root.there()) return rows.fatal("cgroup v2", cgroup.root.detail, cure);
  if (cgroup.read_only)
    return rows.fatal("cgroup v2", cgroup.path + " is mounted read-only",
                      "No limit can be written; in a container, give it the host's cgroups writable, or run "
                      "sluiced on the host.");
  rows.ok("cgroup v2", cgroup.path + (facts.simulated ? ", taken as it is (--any-filesystem)" : ""));
}

void controller(const CgroupFacts& cgroup, const char* which, const char* without, const char* unit_key,
                Rows& rows) {
  const std::string name = std::string(which) + " controller";
  const std::string word(which);
  if (!cgroup.offered || !cgroup.enabled)
    return rows.unknown(name, cgroup.path + "/cgroup.subtree_control cannot be read");
  if (!lists(*cgroup.offered, word))
    return rows.missing(name, "not in " + cgroup.path + "/cgroup.controllers",
                        std::string(without) + "; boot without cgroup_disable=" + word +
                            ", and see that cgroup v1 does not hold it (/proc/cgroups).");
  if (!lists(*cgroup.enabled, word))
    return rows.missing(name, "not in " + cgroup.path + "/cgroup.subtree_control",
                        std::string(without) + "; systemd enables it for a unit with " + unit_key +
                            ", by hand: echo +" + word + " >" + cgroup.path + "/cgroup.subtree_control");
  rows.ok(name, "in cgroup.subtree_control");
}

void controllers(const CgroupFacts& cgroup, Diagnosis& out, Rows& rows) {
  if (!cgroup.root.there()) return;  // already reported
  controller(cgroup, "cpu", "No task has a cpu.max, so CPU is not governed", "CPUWeight=", rows);
  controller(cgroup, "memory", "No task has a memory.high, so memory is not governed", "MemoryAccounting=yes",
             rows);
  if (cgroup.offered && !lists(*cgroup.offered, "cpu") && !lists(*cgroup.offered, "memory"))
    out.obstacles.push_back(
        "neither the cpu nor the memory controller is offered, so there is no limit to write");
}

void pressure(const HostFacts& facts, Rows& rows) {
  constexpr std::array<const char*, 3> kNames{"cpu", "memory", "io"};
  std::string there, absent, barred, why;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const Look& look = facts.pressure[i];
    std::string& list = look.there() ? there : look.absent() ? absent : barred;
    list.append(list.empty() ? "" : ", ").append(kNames[i]);
    if (!look.there() && why.empty()) why = look.detail;
  }
  if (!absent.empty())
    return rows.missing(
        "pressure (PSI)", "not of " + absent + ": " + why,
        "memory.high is never lowered, cpu.max is governed by throttling and usage alone; boot "
        "with psi=1 (needs CONFIG_PSI).");
  if (!barred.empty()) return rows.unknown("pressure (PSI)", "not of " + barred + ": " + why);
  rows.ok("pressure (PSI)", "of " + there);
}

void knobs(const CgroupFacts& cgroup, Rows& rows) {
  if (!cgroup.root.there()) return;
  if (cgroup.cpu_example.empty())
    rows.unknown("cpu.max.burst", "no cgroup has the cpu controller, to look at its files");
  else if (cgroup.has_burst)
    rows.ok("cpu.max.burst", "seen in " + cgroup.cpu_example);
  else
    rows.missing(
        "cpu.max.burst", "not in " + cgroup.cpu_example,
        "A task's cpu.burst is without effect, and its quota must be larger for the same delay; Linux "
        "5.14 has it.");
  if (cgroup.memory_example.empty())
    rows.unknown("memory.reclaim", "no cgroup has the memory controller, to look at its files");
  else if (cgroup.has_reclaim)
    rows.ok("memory.reclaim", "seen in " + cgroup.memory_example);
  else
    rows.missing("memory.reclaim", "not in " + cgroup.memory_example,
                 "Nothing follows: Sluice takes memory back through memory.high alone; Linux 5.19 has it.");
}

void swap(const HostFacts& facts, Rows& rows) {
  if (!facts.swap_bytes) return rows.unknown("swap", "procfs's meminfo does not say");
  if (*facts.swap_bytes == 0)
    return rows.missing("swap", "none",
                        "memory.high never goes below what a task has of anonymous and unreclaimable memory; "
                        "swap or zram would let it.");
  rows.ok("swap", std::to_string(*facts.swap_bytes >> 20) + " MiB");
}

void bus(const HostFacts& facts, Rows& rows) {
  const char* name_row = "org.sluice.Governor1";
  if (!facts.bus_asked) {
    rows.unknown("bus", "not checked (--bus none)");
    return rows.unknown(name_row, "not checked (--bus none)");
  }
  if (!facts.bus.there()) {
    rows.missing("bus", facts.bus.detail,
                 "Sluice still governs, but nobody can see or steer it without the bus; start dbus, or say "
                 "--bus.");
    return rows.unknown(name_row, "there is no bus to ask");
  }
  rows.ok("bus", facts.bus.detail);
  if (facts.bus_name.saw == Look::Saw::barred) return rows.unknown(name_row, facts.bus_name.detail);
  rows.ok(name_row, facts.bus_name.there() ? "owned, " + facts.bus_name.detail : "owned by nobody");
}

std::string count(std::size_t n, const char* thing) {
  return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
}

void lease(const HostFacts& facts, Rows& rows) {
  const StateFacts& state = facts.state;
  if (state.lease.saw == Look::Saw::barred) return rows.unknown("lease", state.lease.detail);
  std::string remark;
  if (state.damaged_lines > 0)
    remark = count(state.damaged_lines, "line") +
             " of it cannot be read; the next start says which, and keeps the file aside. ";
  if (state.of_other_boots > 0)
    remark += count(state.of_other_boots, "baseline") + " of an earlier boot in it, whose cgroups are gone. ";
  const bool runs = facts.running || facts.bus_name.there();
  if (state.baselines > 0 && !runs)
    remark +=
        "A run ended without giving them back; the next start governs on with them, sluiced --restore gives "
        "them "
        "back.";
  if (remark.ends_with(' ')) remark.pop_back();
  const std::string fact = state.baselines == 0 ? "nothing to give back"
                                                : count(state.baselines, "baseline") +
                                                      (runs ? ", the running daemon's" : " left over");
  rows.ok("lease", fact, std::move(remark));
}

void state(const HostFacts& facts, Rows& rows) {
  const StateFacts& state = facts.state;
  if (state.unusable) {
    rows.fatal("runtime directory", state.directory.detail,
               "Without a lease nothing may be written; cure that, or say --runtime-dir.");
  } else if (state.directory.there()) {
    rows.ok("runtime directory", state.path);
  } else if (state.directory.absent()) {
    rows.ok("runtime directory", state.path + " will be made at the first start");
  } else {
    rows.unknown("runtime directory", state.directory.detail);
  }
  lease(facts, rows);
}

void process(const HostFacts& facts, Rows& rows) {
  if (facts.running)
    rows.ok("sluiced", "runs, PID " + std::to_string(*facts.running));
  else
    rows.ok("sluiced", facts.bus_name.there() ? "runs: its name is owned" : "does not run");

  const std::uint64_t files = facts.open_files;
  const std::uint64_t tasks = files > kFilesKeptBack ? (files - kFilesKeptBack) / kFilesPerTask : 0;
  const std::string limit = "RLIMIT_NOFILE is " + std::to_string(files);
  if (tasks < kTasksAtLeast)
    rows.missing(
        "open files", limit + ", enough for " + std::to_string(tasks) + " task(s)",
        "The files of the rest are opened anew at each sample, which costs CPU; raise it (LimitNOFILE=).");
  else
    rows.ok("open files", limit + ", enough for " + std::to_string(tasks) + " tasks");

  if (facts.real_time.there())
    rows.ok("real-time", facts.real_time.detail);
  else if (facts.real_time.absent())
    rows.missing(
        "real-time", facts.real_time.detail,
        "The answer to a throttle event waits behind the tasks that run; allow it (LimitRTPRIO=1, not "
        "RestrictRealtime=yes; in a container --ulimit rtprio=1).");
  else
    rows.unknown("real-time", facts.real_time.detail);
}

void configuration(const ConfigFacts& config, Rows& rows) {
  if (!config.problems.empty()) {
    for (const auto& problem : config.problems)
      rows.missing("configuration", problem, "It is refused whole; a running daemon keeps the old one.");
    return;
  }
  for (const auto& warning : config.warnings) rows.missing("configuration", warning, {});
  if (config.warnings.empty()) rows.ok("configuration", count(config.rules, "task rule"));
  for (const auto& rule : config.unmatched)
    rows.missing(
        "task rule", rule,
        "What it is meant for is not governed. If it runs, systemd-cgls shows how its cgroup is called.");
  if (!config.not_compared.empty() && config.rules > 0)
    rows.unknown("task rule", "not all cgroups could be compared with the rules: " + config.not_compared);
}

}  // namespace

Diagnosis diagnose(const HostFacts& facts) {
  Diagnosis out;
  Rows rows(out);
  rows.ok("kernel", facts.kernel_release);
  if (facts.procfs.there())
    rows.ok("procfs", facts.procfs.detail);
  else if (!facts.procfs.absent())
    rows.unknown("procfs", facts.procfs.detail);
  else
    rows.fatal(
        "procfs", facts.procfs.detail,
        "Capacity and the boot id come from it, and without a boot id the lease cannot be keyed; mount "
        "it, or say --proc-root.");
  cgroup_root(facts, rows);
  controllers(facts.cgroup, out, rows);
  pressure(facts, rows);
  for (Row& row : diagnose_programs(facts)) out.rows.push_back(std::move(row));
  knobs(facts.cgroup, rows);
  swap(facts, rows);
  bus(facts, rows);
  state(facts, rows);
  process(facts, rows);
  configuration(facts.config, rows);

  const auto with = [&](Status status) {
    return static_cast<std::size_t>(std::ranges::count(out.rows, status, &Row::status));
  };
  out.gaps = with(Status::missing);
  out.unknown = with(Status::unknown);
  return out;
}

}  // namespace sluice::doctor
