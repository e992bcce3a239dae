// What was seen of a host, as a value: the examination fills it, the diagnosis reads it, tests make it up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::doctor {

// One look at one thing.
struct Look {
  enum class Saw : std::uint8_t { there, absent, barred };  // barred: whoever asks may not look
  Saw saw = Saw::barred;
  std::string detail;  // what was seen, or why not: a printable clause without a period

  bool there() const { return saw == Saw::there; }
  bool absent() const { return saw == Saw::absent; }
};

// Programs that are loaded together or not at all, or all those that this table knows no name of.
struct Programs {
  std::vector<std::string> names;   // what they give when all is well, as the bus shows it: "bpf-flow"
  std::vector<std::string> loaded;  // what they gave
  std::size_t count = 0;
  std::uint64_t verified_insns = 0;  // all of them together; 0: this kernel does not say
  std::string gap;                   // what this kernel lacks for them; empty: nothing
  std::string failure;               // what the loader said else; empty: nothing
};

struct CgroupFacts {
  Look root;                           // cgroup v2 is mounted there, or what is instead
  std::string path;                    // escaped
  bool read_only = false;              // the mount
  std::optional<std::string> offered;  // cgroup.controllers
  std::optional<std::string> enabled;  // cgroup.subtree_control
  // A cgroup below the root that has the controller's files, to see which; empty: there is none.
  std::string cpu_example, memory_example;
  bool has_burst = false, has_reclaim = false;
};

struct StateFacts {
  Look directory;         // absent: it will be made
  bool unusable = false;  // the daemon would refuse it, or could not write; the detail says why
  std::string path;       // escaped
  Look lease;             // absent: nothing was left
  std::size_t baselines = 0, of_other_boots = 0, damaged_lines = 0;
};

// What the configuration says of this host.
struct ConfigFacts {
  std::size_t rules = 0;
  std::vector<std::string> problems{};   // it is refused
  std::vector<std::string> warnings{};   // sizes that this node has not
  std::vector<std::string> unmatched{};  // rules that govern no cgroup that is there now
  std::string not_compared{};            // why cgroups could not be looked at; empty: they were
};

struct HostFacts {
  std::string kernel_release;
  std::uint32_t uid = 0;   // who asks
  bool simulated = false;  // --any-filesystem
  Look procfs;             // with a boot id, which keys the lease
  CgroupFacts cgroup;
  std::array<Look, 3> pressure;  // of cpu, memory, io
  Look types;                    // BTF
  Look may_load;                 // BPF programs
  std::vector<Programs> programs;
  std::optional<std::uint64_t> swap_bytes;
  bool bus_asked = true;  // false: --bus none
  Look bus;
  Look bus_name;                // owned
  std::optional<long> running;  // the PID of the daemon that holds the lock
  StateFacts state;
  ConfigFacts config;
  std::uint64_t open_files = 0;  // the hard limit
  Look real_time;
};

}  // namespace sluice::doctor
