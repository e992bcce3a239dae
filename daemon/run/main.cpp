// The only wiring: options, the host's preconditions, and the rooms handed to the loop.
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>

#include "bpf/loader/source.hpp"
#include "cgroups/fd_limit.hpp"
#include "daemon/actuate/single_instance.hpp"
#include "daemon/doctor/diagnose.hpp"
#include "daemon/doctor/examine.hpp"
#include "daemon/process/clock.hpp"
#include "daemon/process/program.hpp"
#include "daemon/process/standard_streams.hpp"
#include "daemon/publish/words/names.hpp"
#include "daemon/run/loop.hpp"
#include "daemon/run/release.hpp"
#include "daemon/sample/node.hpp"
#include "daemon/version.hpp"

namespace {

using namespace sluice;

// sysexits are not systemd's: 0 done, 1 failed at run time, 2 bad usage or configuration, 3 the host lacks
// something that cannot be done without.
enum Exit : int { kOk = 0, kFailed = 1, kBadConfig = 2, kHostLacks = 3 };

struct Options {
  std::string config_file;
  bool check_config = false;
  std::string check_file;
  bool restore = false;
  bool doctor = false;
  std::string cgroup_root = "/sys/fs/cgroup";
  bool any_filesystem = false;
  std::string proc_root = "/proc";
  std::string state_dir = "/var/lib/sluice";
  std::string runtime_dir = "/run/sluice";
  std::string bus = "system";
  std::string mode;
  std::string log = "auto";
  std::string log_level = "info";
  std::string record;
  std::uint64_t record_max_bytes = 1ULL << 30;
};

config::Result load(const Options& o) {
  auto loaded = o.config_file.empty() ? config::load_default() : config::load_file(o.config_file);
  if (!loaded || o.mode.empty()) return loaded;
  loaded->node.mode = o.mode == "enforce"   ? config::Mode::enforce
                      : o.mode == "dry-run" ? config::Mode::dry_run
                                            : config::Mode::observe;
  return loaded;
}

// None: procfs does not tell, and nothing is compared with it.
std::optional<NodeFacts> node_of(const Options& o) {
  const auto proc = sample::open_proc(o.proc_root.c_str());
  if (!proc) return std::nullopt;
  const auto node = sample::node_facts(proc->get());
  return node ? std::optional(*node) : std::nullopt;
}

int check_config(const Options& o) {
  const auto loaded = o.check_file.empty() ? config::load_default() : config::load_file(o.check_file);
  if (!loaded) {
    for (const auto& p : loaded.error()) std::cerr << config::describe(p) << "\n";
    std::cerr << loaded.error().size() << " problem(s); nothing was applied.\n";
    return kBadConfig;
  }
  if (const auto node = node_of(o)) {
    for (const auto& p : config::check_sizes(*loaded, node->cpu_capacity_cores, node->memory_capacity))
      std::cerr << "warning: " << config::describe(p) << "\n";
  }
  std::cout << "The configuration is valid: " << loaded->tasks.size() << " task rule(s).\n";
  return kOk;
}

// What the configuration says of this host. The rules are compared with the cgroups that are there now.
doctor::ConfigFacts config_facts(const Options& o) {
  doctor::ConfigFacts facts;
  const auto loaded = load(o);
  if (!loaded) {
    for (const auto& p : loaded.error()) facts.problems.push_back(config::describe(p));
    return facts;
  }
  facts.rules = loaded->tasks.size();
  if (const auto node = node_of(o)) {
    for (const auto& p : config::check_sizes(*loaded, node->cpu_capacity_cores, node->memory_capacity))
      facts.warnings.push_back(config::describe(p));
  }
  const auto root =
      cgroups::Root::open(o.cgroup_root, o.any_filesystem ? cgroups::Verify::none : cgroups::Verify::cgroup2);
  const auto walk = root ? cgroups::walk(*root) : tl::unexpected(root.error());
  if (!walk) {
    facts.not_compared = describe(walk.error());
    return facts;
  }
  std::vector<std::string> paths;
  for (const auto& found : walk->cgroups) paths.push_back(found.path);
  for (const auto& rule : silent_rules(*loaded, paths)) facts.unmatched.push_back(describe(*loaded, rule));
  if (!walk->problems.empty()) facts.not_compared = describe(walk->problems.front());
  return facts;
}

// What the host offers; changes nothing.
int run_doctor(const Options& o) {
  auto facts = doctor::examine({.cgroup_root = o.cgroup_root,
                                .any_filesystem = o.any_filesystem,
                                .proc_root = o.proc_root,
                                .runtime_dir = o.runtime_dir,
                                .bus = o.bus,
                                .bus_name = publish::kServiceName});
  facts.config = config_facts(o);
  const auto diagnosis = doctor::diagnose(facts);
  std::cout << doctor::text(diagnosis) << std::flush;
  if (!std::cout) return kFailed;
  return diagnosis.can_be_governed() ? kOk : kHostLacks;
}

// The kernel programs, or a sentence on why there are none. Explicit `sampling = "bpf"` makes that fatal,
// unless it may pass: then they are tried again.
bool open_bpf(const config::Config& config, const cgroups::Root& root, CgroupHost::Options& host,
              std::string& why_not) {
  const auto wanted = config.node.sampling;
  if (wanted == config::Sampling::files) {
    why_not = "The configuration says sampling = \"files\".";
    return true;
  }
  bool may_pass = false;
  if (!root.is_cgroup2()) {
    why_not = "The cgroup root is not the kernel's cgroup2, which is all that BPF can walk.";
  } else {
    host.open_bpf = []() -> tl::expected<std::unique_ptr<bpf::KernelPrograms>, bpf::Error> {
      auto source = bpf::Source::open({});
      if (!source) return tl::unexpected(std::move(source.error()));
      return std::make_unique<bpf::Source>(std::move(*source));
    };
    if (auto programs = host.open_bpf(); programs) {
      host.bpf = std::move(*programs);
      why_not = host.bpf->why_not();
      may_pass = host.bpf->incomplete();
    } else {
      why_not = programs.error().sentence;
      may_pass = bpf::may_pass(programs.error().os_error);
      if (may_pass) host.bpf_failure = std::move(programs.error());
    }
  }
  if (!why_not.empty() && !may_pass) spdlog::warn("{}", why_not);  // else the host says so, and tries again
  const bool has_iterator = host.bpf && host.bpf->has_iterator();
  spdlog::info("Cgroups are sampled by {}{}.", has_iterator ? "the BPF iterator" : "reading files",
               host.bpf && host.bpf->has_throttle() ? ", throttling is reported by BPF at once" : "");
  if (host.bpf) spdlog::info("Kernel programs: {}.", fmt::join(host.bpf->capabilities(), ", "));
  if (wanted == config::Sampling::bpf && !has_iterator && !may_pass) {
    spdlog::error("The configuration insists on sampling = \"bpf\"; say \"auto\" to fall back to files.");
    return false;
  }
  return true;
}

int govern(const Options& o) {
  auto loaded = load(o);
  if (!loaded) {
    for (const auto& p : loaded.error()) spdlog::error("{}", config::describe(p));
    return kBadConfig;
  }
  auto root =
      cgroups::Root::open(o.cgroup_root, o.any_filesystem ? cgroups::Verify::none : cgroups::Verify::cgroup2);
  if (!root) {
    spdlog::error("{}. Sluice governs cgroup v2 only.", describe(root.error()));
    return kHostLacks;
  }
  auto proc = sample::open_proc(o.proc_root.c_str());
  if (!proc) {
    spdlog::error("{}", describe(proc.error()));
    return kHostLacks;
  }
  const auto boot_id = sample::read_boot_id(proc->get());
  if (!boot_id) {
    spdlog::error("{}. Without a boot id the lease cannot be keyed.", describe(boot_id.error()));
    return kHostLacks;
  }
  cgroups::raise_fd_limit();  // twelve files a task stay open
  const auto lock = actuate::SingleInstance::acquire(o.runtime_dir);
  if (!lock) {
    spdlog::error("{}", describe(lock.error()));
    return kFailed;
  }
  auto lease = actuate::Lease::open(files::posix_files(), o.runtime_dir, *boot_id);
  if (!lease) {
    spdlog::error("{}. Without a lease nothing may be written.", describe(lease.error()));
    return kFailed;
  }
  for (const auto& n : lease->notices()) spdlog::warn("{}", n);
  auto holds = record::HoldStore::open(files::posix_files(), o.runtime_dir, *boot_id);
  if (!holds) {
    spdlog::error("{}. Without it pins and suspensions would not survive a restart.",
                  describe(holds.error()));
    return kFailed;
  }
  for (const auto& n : holds->notices()) spdlog::warn("{}", n);
  CgroupHost::Options host_options{.proc_fd = proc->get(), .clock = monotonic_now};
  if (o.restore) {
    // ExecStopPost, and by hand. It needs no configuration: no rule matches, so everything is released.
    CgroupHost host(std::move(*root), std::move(host_options));
    Engine engine(host, {std::move(*lease), std::move(*holds), {}, {}});
    return release_everything(host, engine, {}) ? kOk : kFailed;
  }
  if (!lease->empty())
    spdlog::warn(
        "An earlier run left {} limit(s) in force; a task that still matches keeps its limit, others get "
        "their baselines back.",
        lease->entries().size());

  LoopOptions options;
  options.load_config = [o] { return load(o); };
  options.version = kVersion;
  options.proc_fd = proc->get();
  if (o.bus != "none") options.bus_address = o.bus;
  if (!o.record.empty()) {
    auto recorder =
        record::Recorder::open(o.record, {.max_bytes = o.record_max_bytes, .daemon_version = kVersion});
    if (!recorder) {
      spdlog::error("{}", recorder.error());
      return kBadConfig;
    }
    options.recorder = std::move(*recorder);
    spdlog::info("Every tick is recorded in {}, up to {} bytes.", o.record, o.record_max_bytes);
  }
  if (!open_bpf(*loaded, *root, host_options, options.sampling_reason)) return kHostLacks;
  options.profile_store = std::make_unique<record::ProfileStore>(o.state_dir + "/forecasts");
  auto learned = options.profile_store->load();
  if (learned.notice) spdlog::warn("{}", *learned.notice);
  boost::asio::io_context io(1);
  CgroupHost host(std::move(*root), std::move(host_options));
  Loop loop(io, host, {std::move(*lease), std::move(*holds), std::move(*loaded), std::move(learned.profiles)},
            std::move(options));
  return loop.run();
}

int guarded(const Options& o) {
  try {
    return govern(o);
  } catch (const std::exception& e) {
    // No descriptor, no thread, no memory. What was in force is in the lease.
    spdlog::error("sluiced must stop: {}. 'sluiced --restore' gives back the limits that are in force.",
                  e.what());
    return kFailed;
  }
}

// What was printed and did not arrive is a failure.
int printed(int status) {
  if (process::output_arrived() || status != kOk) return status;
  process::complain("sluiced: standard output cannot be written\n");
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  process::open_closed_streams();
  process::survive_refused_writes();
  Options o;
  CLI::App app{"sluiced: keeps every stream task of this host at the CPU and memory it needs now", "sluiced"};
  app.set_version_flag("--version", std::string("sluiced ") + kVersion);
  app.add_option("--config", o.config_file,
                 "This file only, instead of /usr/lib/sluice, /etc/sluice and their drop-ins");
  auto* check = app.add_option("--check-config", o.check_file,
                               "Print every problem of the configuration (or of FILE) and exit 0 or 2")
                    ->expected(0, 1);
  auto* restore =
      app.add_flag("--restore", o.restore, "Give back every limit that an earlier run left, and exit");
  check->excludes(restore);
  app.add_flag("--doctor", o.doctor, "Say what this host offers to Sluice and what it lacks, and exit 0 or 3")
      ->excludes(check)
      ->excludes(restore);
  app.add_option("--mode", o.mode, "Overrides the configuration's [node] mode")
      ->check(CLI::IsMember({"enforce", "dry-run", "observe"}));
  app.add_option("--cgroup-root", o.cgroup_root, "Where cgroup2 is mounted")->capture_default_str();
  app.add_flag("--any-filesystem", o.any_filesystem, "The cgroup root need not be cgroup2: a simulated host");
  app.add_option("--proc-root", o.proc_root, "Where procfs is mounted")->capture_default_str();
  app.add_option("--state-dir", o.state_dir, "Holds what forecasts learned")->capture_default_str();
  app.add_option("--runtime-dir", o.runtime_dir, "Holds the lock, the lease and what administrators ordered")
      ->capture_default_str();
  app.add_option("--bus", o.bus, "D-Bus address, \"system\", or \"none\"")->capture_default_str();
  app.add_option("--log", o.log, "Where lines go")
      ->check(CLI::IsMember({"auto", "journal", "stderr"}))
      ->capture_default_str();
  app.add_option("--log-level", o.log_level, "The lowest level that is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  app.add_option("--record", o.record, "Write every tick's input and plan to this file, for sluice-replay");
  app.add_option("--record-max-bytes", o.record_max_bytes, "The most that is recorded: 200MiB, 1GiB …")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return printed(app.exit(e) == 0 ? kOk : kBadConfig);
  }
  o.check_config = check->count() > 0;
  if (o.check_config) return printed(check_config(o));
  if (o.doctor) return printed(run_doctor(o));

  publish::LogOptions log;
  log.target = o.log == "journal"  ? publish::LogTarget::journal
               : o.log == "stderr" ? publish::LogTarget::standard_error
                                   : publish::LogTarget::automatic;
  log.level = spdlog::level::from_str(o.log_level);
  const auto program = process::own_program();
  for (;;) {
    publish::set_up_log(log);
    const int status = guarded(o);
    publish::shut_down_log();
    if (status != Loop::kReexecute) return status;
    const int error = process::replace_by(program, argv);
    publish::set_up_log(log);
    spdlog::error("'{}' cannot be run: {}. The running program stays.", program, std::strerror(error));
  }
}
