// Facts about a host, as a value: filled in by examine, read by diagnose, made up by tests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::doctor {

// The result of one examination.
struct Look {
  enum class Saw : std::uint8_t { there, absent, barred };  // barred: the user may not read it
  Saw saw = Saw::barred;
  std::string detail;  // what was seen, or why not: a printable clause without a period

  bool there() const { return saw == Saw::there; }
  bool absent() const { return saw == Saw::absent; }
};

// Programs that are loaded together or not at all; or all programs that this table does not know.
struct Programs {
  std::vector<std::string> names;   // what they provide if everything works, as on the bus: "bpf-flow"
  std::vector<std::string> loaded;  // what they provided
  std::size_t count = 0;
  std::uint64_t verified_insns = 0;  // of all together; 0: this kernel does not report it
  std::string gap;                   // what this kernel lacks for them; empty: nothing
  std::string failure;               // the loader's other message; empty: none
};

struct CgroupFacts {
  Look root;                           // cgroup v2 is mounted there, or what is there instead
  std::string path;                    // escaped
  bool read_only = false;              // of the mount
  std::optional<std::string> offered;  // cgroup.controllers
  std::optional<std::string> enabled;  // cgroup.subtree_control
  // A cgroup below the root with the controller's files, to see which ones exist; empty: none.
  std::string cpu_example, memory_example;
  bool has_burst = false, has_reclaim = false;
};

struct StateFacts {
  Look directory;         // absent: the daemon will create it
  bool unusable = false;  // the daemon would refuse it or could not write; the detail is the reason
  std::string path;       // escaped
  Look lease;             // absent: nothing to restore
  std::size_t baselines = 0, of_other_boots = 0, damaged_lines = 0;
};

// The configuration, checked against this host.
struct ConfigFacts {
  std::size_t rules = 0;
  std::vector<std::string> problems{};   // reasons why it is refused
  std::vector<std::string> warnings{};   // sizes that this node does not have
  std::vector<std::string> unmatched{};  // rules that match no existing cgroup
  std::string not_compared{};            // why cgroups could not be examined; empty: they were
};

struct HostFacts {
  std::string kernel_release;
  std::uint32_t uid = 0;   // the user who runs --doctor
  bool simulated = false;  // --any-filesystem
  Look procfs;             // including a boot id, which keys the lease
  CgroupFacts cgroup;
  std::array<Look, 3> pressure;  // of cpu, memory, io
  Look types;                    // BTF
  Look may_load;                 // BPF programs
  std::vector<Programs> programs;
  std::optional<std::uint64_t> swap_bytes;
  bool bus_asked = true;  // false: --bus none
  Look bus;
  Look bus_name;                // owned
  std::optional<long> running;  // PID of the daemon that holds the lock
  StateFacts state;
  ConfigFacts config;
  std::uint64_t open_files = 0;  // the hard limit
  Look real_time;
};

}  // namespace sluice::doctor
