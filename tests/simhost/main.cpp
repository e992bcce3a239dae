// sluice-simhost: mounts the simulated host until SIGINT or SIGTERM.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "tests/simhost/control.hpp"
#include "tests/simhost/proc.hpp"
#include "tests/simhost/scenario.hpp"

int main(int argc, char** argv) {
  using namespace sluice::simhost;
  HostSpec host_spec;
  FuseOptions fuse;
  fuse.allow_other = geteuid() == 0;
  std::string scenario_name = "demo";
  std::string memory = "8GiB";
  std::string control_path;
  std::string proc_path;

  CLI::App app{"A simulated host, mounted as a cgroup2 filesystem. Stops on SIGINT or SIGTERM."};
  app.add_option("--mount", fuse.mountpoint, "existing folder to mount on")->required();
  app.add_option("--scenario", scenario_name, "demo, empty, or a TOML file")->capture_default_str();
  app.add_option("--cpus", host_spec.cpus, "cores of the host")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 1024.0));
  app.add_option("--memory", memory, "memory of the host")->capture_default_str();
  app.add_option("--seed", host_spec.seed, "equal seeds give equal loads")->capture_default_str();
  app.add_option("--control", control_path, "unix socket that takes commands");
  app.add_option("--proc", proc_path, "folder to fill as this host's /proc, for sluiced --proc-root");
  app.add_option("--psi-window-min-usec", fuse.psi.window_min_usec, "smallest PSI window that is accepted")
      ->capture_default_str();
  app.add_flag("--read-only", fuse.read_only, "mount read-only: every write gives EROFS");
  CLI11_PARSE(app, argc, argv);

  const auto fail = [](const std::string& why) {
    std::fprintf(stderr, "sluice-simhost: %s\n", why.c_str());
    return 2;
  };
  const auto memory_bytes = parse_bytes(memory);
  if (!memory_bytes || *memory_bytes < 1)
    return fail("--memory: '" + memory + "' is not a size such as 8GiB");
  host_spec.memory = static_cast<sluice::Bytes>(*memory_bytes);

  // Before any thread starts, so that all threads leave these signals to sigwait below.
  sigset_t stop;
  sigemptyset(&stop);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&stop, signal);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  const auto scenario = load_scenario(scenario_name);
  if (!scenario) return fail(scenario.error());
  Host host(host_spec);
  if (auto done = populate(host, *scenario); !done) return fail(done.error());
  std::optional<Proc> proc;
  if (!proc_path.empty()) {
    auto made = Proc::create(proc_path, host);
    if (!made) return fail("--proc: " + made.error());
    proc = std::move(*made);
  }
  auto mounted = FuseFs::mount(host, fuse);
  if (!mounted) return fail(mounted.error());
  Control control(**mounted);
  if (!control_path.empty()) {
    if (auto listening = control.listen(control_path); !listening) return fail(listening.error());
  }
  std::printf("sluice-simhost: mounted on %s\n", fuse.mountpoint.c_str());
  std::fflush(stdout);

  for (;;) {
    const timespec wait{.tv_sec = 0, .tv_nsec = 200'000'000};
    if (sigtimedwait(&stop, nullptr, &wait) > 0) return 0;
    if (proc) {
      tl::expected<void, std::string> told;
      (*mounted)->with_host([&](Host& at) { told = proc->refresh(at); });
      if (!told) return fail("--proc: " + told.error());
    }
    if ((*mounted)->ended()) {
      std::fprintf(stderr, "sluice-simhost: unmounted by somebody else\n");
      return 1;
    }
  }
}
