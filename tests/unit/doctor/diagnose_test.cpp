#include "daemon/doctor/diagnose.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace sluice::doctor {
namespace {

using Saw = Look::Saw;
using testing::HasSubstr;
using testing::StartsWith;

// A host with everything.
HostFacts good_host() {
  HostFacts f;
  f.kernel_release = "6.12.1 x86_64";
  f.procfs = {Saw::there, "2 CPUs, 2048 MiB"};
  f.cgroup.root = {Saw::there, {}};
  f.cgroup.path = "/sys/fs/cgroup";
  f.cgroup.offered = "cpuset cpu io memory pids\n";
  f.cgroup.enabled = "cpu memory\n";
  f.cgroup.cpu_example = f.cgroup.memory_example = "/a.slice";
  f.cgroup.has_burst = f.cgroup.has_reclaim = true;
  f.pressure.fill({Saw::there, {}});
  f.types = {Saw::there, "/sys/kernel/btf/vmlinux"};
  f.may_load = {Saw::there, "CAP_BPF and CAP_PERFMON"};
  f.programs = {{.names = {"bpf-iterator"},
                 .loaded = {"bpf-iterator"},
                 .count = 3,
                 .verified_insns = 4711,
                 .gap = {},
                 .failure = {}},
                {.names = {"bpf-throttle-events", "bpf-throttle"},
                 .loaded = {"bpf-throttle-events", "bpf-throttle"},
                 .count = 1,
                 .verified_insns = 0,
                 .gap = {},
                 .failure = {}},
                Programs{}};
  f.swap_bytes = 1u << 30;
  f.bus = {Saw::there, "the system's"};
  f.bus_name = {Saw::absent, {}};
  f.state.path = "/run/sluice";
  f.state.directory = {Saw::there, {}};
  f.state.lease = {Saw::absent, {}};
  f.open_files = 524288;
  f.real_time = {Saw::there, "SCHED_RR allowed"};
  return f;
}

const Row& row(const Diagnosis& d, const std::string& name) {
  for (const Row& r : d.rows)
    if (r.name == name) return r;
  ADD_FAILURE() << "no row " << name;
  static const Row none{};
  return none;
}

std::string last_line(const Diagnosis& d) {
  const std::string all = text(d);
  return all.substr(all.rfind('\n', all.size() - 2) + 1);
}

TEST(Diagnose, AHostThatHasEverythingHasNoGap) {
  const auto d = diagnose(good_host());
  for (const Row& r : d.rows) {
    EXPECT_EQ(r.status, Status::ok) << r.name << ": " << r.fact;
    EXPECT_FALSE(r.fact.empty()) << r.name;
    EXPECT_EQ(r.means, "") << r.name;
  }
  EXPECT_EQ(last_line(d), "This host can be governed.\n");
  EXPECT_EQ(row(d, "bpf-iterator").fact, "loaded: 3 programs, 4711 instructions verified");
  EXPECT_EQ(row(d, "bpf-throttle-events").fact, "loaded: 1 program") << "this kernel does not say how many";
}

struct Gap {
  const char* name;
  std::function<void(HostFacts&)> make;
  const char* row;
  const char* fact;   // a part of it
  const char* means;  // a part of the consequence or the cure
  bool fatal = false;
};

class EachGap : public testing::TestWithParam<Gap> {};

TEST_P(EachGap, IsARowWithItsConsequenceAndCountsOnce) {
  HostFacts facts = good_host();
  GetParam().make(facts);
  const auto d = diagnose(facts);
  const Row& r = row(d, GetParam().row);
  EXPECT_EQ(r.status, Status::missing);
  EXPECT_THAT(r.fact, HasSubstr(GetParam().fact));
  EXPECT_THAT(r.means, HasSubstr(GetParam().means));
  EXPECT_EQ(d.can_be_governed(), !GetParam().fatal);
  EXPECT_THAT(last_line(d), StartsWith(GetParam().fatal ? "This host cannot be governed: "
                                                        : "This host can be governed, with these gaps: "));
  if (GetParam().fatal) {
    EXPECT_THAT(last_line(d), HasSubstr(GetParam().fact)) << "the verdict says why";
  }
}

const Gap kGaps[] = {
    {"no_procfs",
     [](HostFacts& f) {
       f.procfs = {Saw::absent, "open procfs at '/x'"};
     },
     "procfs", "/x", "boot id", true},
    {"cgroup_v1",
     [](HostFacts& f) {
       f.cgroup.root = {Saw::absent, "a cgroup v1 controller"};
     },
     "cgroup v2", "a cgroup v1 controller", "unified_cgroup_hierarchy=1", true},
    {"read_only", [](HostFacts& f) { f.cgroup.read_only = true; }, "cgroup v2", "read-only", "container",
     true},
    {"no_cpu", [](HostFacts& f) { f.cgroup.offered = "cpuset io memory"; }, "cpu controller",
     "cgroup.controllers", "cgroup_disable=cpu"},
    {"cpu_off", [](HostFacts& f) { f.cgroup.enabled = "memory cpuset"; }, "cpu controller",
     "cgroup.subtree_control", "echo +cpu"},
    {"memory_off", [](HostFacts& f) { f.cgroup.enabled = "cpu"; }, "memory controller",
     "cgroup.subtree_control", "MemoryAccounting=yes"},
    {"no_pressure",
     [](HostFacts& f) {
       f.pressure[1] = {Saw::absent, "no such file"};
     },
     "pressure (PSI)", "of memory: no such file", "psi=1"},
    {"no_types",
     [](HostFacts& f) {
       f.types = {Saw::absent, "not there"};
     },
     "BTF", "not there", "files are read instead"},
    {"no_types_no_program",
     [](HostFacts& f) {
       f.types = {Saw::absent, "not there"};
       f.programs[0].loaded = {};
     },
     "bpf-iterator", "needs BTF", "see BTF"},
    {"no_privilege",
     [](HostFacts& f) {
       f.may_load = {Saw::absent, "uid 0 has no CAP_BPF"};
     },
     "BPF privileges", "CAP_BPF", "--cap-add"},
    {"program_gap",
     [](HostFacts& f) {
       f.programs[0].loaded = {};
       f.programs[0].gap = "No bpf_iter_cgroup.";
     },
     "bpf-iterator", "not on this kernel", "No bpf_iter_cgroup. Each sample opens"},
    {"program_refused",
     [](HostFacts& f) {
       f.programs[0].loaded = {};
       f.programs[0].failure = "loading: Operation not permitted.";
     },
     "bpf-iterator", "does not load", "lockdown"},
    {"program_fails",
     [](HostFacts& f) {
       f.programs[0].loaded = {};
       f.programs[0].failure = "R1 is bad";
     },
     "bpf-iterator", "does not load", "R1 is bad. Each sample"},
    {"half_of_a_group",
     [](HostFacts& f) {
       f.programs[1].loaded = {"bpf-throttle-events"};
       f.programs[1].failure = "no unthrottle hook.";
     },
     "bpf-throttle", "does not load", "no unthrottle hook. How long"},
    {"nameless_program", [](HostFacts& f) { f.programs[2].failure = "the new one failed."; }, "bpf-other",
     "does not load", "the new one failed."},
    {"no_burst", [](HostFacts& f) { f.cgroup.has_burst = false; }, "cpu.max.burst", "/a.slice", "Linux 5.14"},
    {"no_reclaim", [](HostFacts& f) { f.cgroup.has_reclaim = false; }, "memory.reclaim", "/a.slice",
     "Linux 5.19"},
    {"no_swap", [](HostFacts& f) { f.swap_bytes = 0; }, "swap", "none", "anonymous"},
    {"no_bus",
     [](HostFacts& f) {
       f.bus = {Saw::absent, "no such file"};
     },
     "bus", "no such file", "Sluice still governs"},
    {"state_unusable",
     [](HostFacts& f) {
       f.state.unusable = true;
       f.state.directory.detail = "others can write to it";
     },
     "runtime directory", "others can write", "lease", true},
    {"few_files", [](HostFacts& f) { f.open_files = 1024; }, "open files", "74 task(s)", "LimitNOFILE="},
    {"hardly_any_files", [](HostFacts& f) { f.open_files = 64; }, "open files", "for 0 task(s)",
     "LimitNOFILE="},
    {"no_real_time",
     [](HostFacts& f) {
       f.real_time = {Saw::absent, "EPERM"};
     },
     "real-time", "EPERM", "LimitRTPRIO=1"},
};
INSTANTIATE_TEST_SUITE_P(Diagnose, EachGap, testing::ValuesIn(kGaps),
                         [](const auto& gap) { return gap.param.name; });

TEST(Diagnose, NeitherControllerIsNothingToGovern) {
  HostFacts facts = good_host();
  facts.cgroup.offered = "cpuset io pids";
  EXPECT_THAT(last_line(diagnose(facts)), HasSubstr("cannot be governed: neither the cpu nor the memory"));
  facts.cgroup.offered = good_host().cgroup.offered;
  facts.cgroup.enabled = "";
  EXPECT_TRUE(diagnose(facts).can_be_governed()) << "they can still be enabled";
}

TEST(Diagnose, WhatAStrangerMayNotSeeIsUnknownAndNoGap) {
  HostFacts facts = good_host();
  facts.uid = 65534;
  facts.may_load = {Saw::barred, "uid 65534 has neither"};
  for (Programs& p : facts.programs) p.loaded.clear();
  facts.state.directory = {Saw::barred, "Permission denied"};
  facts.state.lease = {Saw::barred, "not seen"};
  facts.real_time = {Saw::barred, "EPERM"};
  const auto d = diagnose(facts);
  EXPECT_EQ(d.gaps, 0u);
  for (const char* name :
       {"BPF privileges", "bpf-iterator", "bpf-throttle", "runtime directory", "lease", "real-time"}) {
    EXPECT_EQ(row(d, name).status, Status::unknown) << name;
    EXPECT_FALSE(row(d, name).fact.empty()) << name;
  }
  EXPECT_EQ(last_line(d), "This host can be governed; not seen: " + std::to_string(d.unknown) + ".\n");
}

TEST(Diagnose, ARootThatMayNotBeLookedAtIsNoObstacle) {
  HostFacts facts = good_host();
  facts.cgroup.root = facts.procfs = {Saw::barred, "Permission denied"};
  const auto d = diagnose(facts);
  EXPECT_TRUE(d.can_be_governed());
  EXPECT_EQ(row(d, "cgroup v2").status, Status::unknown);
  EXPECT_EQ(row(d, "procfs").status, Status::unknown);
}

TEST(Diagnose, WhatWasNotAskedIsUnknown) {
  HostFacts facts = good_host();
  facts.bus_asked = false;
  facts.bus = facts.bus_name = {};
  facts.swap_bytes.reset();
  facts.cgroup.enabled.reset();
  facts.cgroup.cpu_example.clear();
  facts.pressure[2] = {Saw::barred, "Permission denied"};
  const auto d = diagnose(facts);
  for (const char* name :
       {"bus", "org.sluice.Governor1", "swap", "cpu controller", "cpu.max.burst", "pressure (PSI)"})
    EXPECT_EQ(row(d, name).status, Status::unknown) << name;
  EXPECT_EQ(d.gaps, 0u);
}

TEST(Diagnose, ALeaseIsTheRunningDaemonsOrLeftOver) {
  HostFacts facts = good_host();
  facts.state.lease = {Saw::there, {}};
  facts.state.baselines = 3;
  auto d = diagnose(facts);
  EXPECT_EQ(row(d, "lease").fact, "3 baselines left over");
  EXPECT_THAT(row(d, "lease").means, HasSubstr("--restore"));
  EXPECT_EQ(row(d, "sluiced").fact, "does not run");
  facts.running = 77;
  d = diagnose(facts);
  EXPECT_EQ(row(d, "lease").fact, "3 baselines, the running daemon's");
  EXPECT_EQ(row(d, "lease").means, "");
  EXPECT_EQ(row(d, "sluiced").fact, "runs, PID 77");
  facts.running.reset();
  facts.bus_name = {Saw::there, "by :1.5"};
  d = diagnose(facts);
  EXPECT_EQ(row(d, "lease").fact, "3 baselines, the running daemon's");
  EXPECT_EQ(row(d, "org.sluice.Governor1").fact, "owned, by :1.5");
  facts.state.damaged_lines = 1;
  facts.state.of_other_boots = 2;
  d = diagnose(facts);
  EXPECT_THAT(row(d, "lease").means, HasSubstr("1 line of it cannot be read"));
  EXPECT_THAT(row(d, "lease").means, HasSubstr("2 baselines of an earlier boot"));
}

TEST(Diagnose, AProgramThatTheTableDoesNotKnowIsShownByItsName) {
  HostFacts facts = good_host();
  facts.programs[2] = {
      .names = {}, .loaded = {"bpf-new"}, .count = 2, .verified_insns = 10, .gap = {}, .failure = {}};
  EXPECT_EQ(row(diagnose(facts), "bpf-new").fact, "loaded: 2 programs, 10 instructions verified");
}

TEST(Diagnose, ALoadedProgramThatDoesWithoutSomethingSaysSo) {
  HostFacts facts = good_host();
  facts.programs[0].failure = "memory.stat is read through files.";
  const auto d = diagnose(facts);
  EXPECT_EQ(row(d, "bpf-iterator").status, Status::ok);
  EXPECT_EQ(row(d, "bpf-iterator").means, "memory.stat is read through files.");
  EXPECT_EQ(d.gaps, 0u);
}

TEST(Text, EachRowIsALineWhateverTheKernelSays) {
  Diagnosis d;
  d.rows = {{"a", Status::ok, "fine", {}}, {"longer", Status::missing, "one\ntwo\x1b[31m", "then\tthis"}};
  d.gaps = 1;
  EXPECT_EQ(text(d),
            "a       ok       fine\n"
            "longer  missing  one two [31m\n"
            "                 > then this\n"
            "This host can be governed, with these gaps: 1.\n");
  d.obstacles = {"this", "that\n"};
  EXPECT_THAT(text(d), testing::EndsWith("This host cannot be governed: this; that .\n"));
}

TEST(Diagnose, NamesRulesThatMatchNothingAndSizesThatTheNodeHasNot) {
  auto facts = good_host();
  facts.config = {.rules = 2,
                  .problems = {},
                  .warnings = {"x.toml:3:11: key 'task[0].cpu.max': found 200 cores"},
                  .unmatched = {"x.toml:7: match.unit = \"x.service\" matches no cgroup"},
                  .not_compared = {}};
  const auto shown = text(diagnose(facts));
  EXPECT_NE(shown.find("task rule"), std::string::npos) << shown;
  EXPECT_NE(shown.find("x.toml:7: match.unit"), std::string::npos) << shown;
  EXPECT_NE(shown.find("found 200 cores"), std::string::npos) << shown;
  facts.config = {.problems = {"x.toml:1:1: no"}};
  EXPECT_NE(text(diagnose(facts)).find("x.toml:1:1: no"), std::string::npos);
}

}  // namespace
}  // namespace sluice::doctor
