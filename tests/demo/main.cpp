// sluice-demo: the unmodified daemon on a simulated host, and a table of what both do. Touches nothing of
// this host.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "tests/demo/output.hpp"
#include "tests/demo/private_bus.hpp"
#include "tests/demo/sandbox.hpp"
#include "tests/demo/summary.hpp"
#include "tests/simhost/proc.hpp"

namespace {

using namespace sluice;
using namespace sluice::demo;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

enum Exit : int { kOk = 0, kFailed = 1, kBadUsage = 2, kHostLacks = 3 };

constexpr auto kSampleEvery = milliseconds(100);
constexpr int kSamplesPerFrame = 3;
constexpr int kSamplesPerReport = 2;
// These tell their lag over D-Bus, as a stream task can; the third is governed by what the kernel shows
// alone.
constexpr std::array kReporting{"clicks", "orders"};
constexpr std::size_t kHistoryPoints = 400;

struct Options {
  double for_s = 0;  // 0: until told to stop
  bool plain = false;
  std::uint64_t seed = 1;
  std::string config = SLUICE_SOURCE_DIR "/tests/demo/demo.toml";
  std::string log;
  bool no_lag = false;
};

int fail(Exit code, const std::string& why) {
  std::fprintf(stderr, "sluice-demo: %s\n", why.c_str());
  return code;
}

std::string parse_duration(const std::string& text, double& seconds) {
  std::size_t end = 0;
  try {
    seconds = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  static const std::map<std::string, double> kUnits{
      {"ms", 0.001}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}};
  const auto unit = kUnits.find(text.substr(end));
  if (end == 0 || unit == kUnits.end() || !std::isfinite(seconds) || seconds <= 0)
    return "'" + text + "' is no duration; say it with its unit, such as 30s, 5m or 1h";
  seconds *= unit->second;
  return "";
}

std::string folder_of_this_program() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::string end_of(const std::string& log) {
  std::ifstream file(log);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
    if (lines.size() > 15) lines.pop_front();
  }
  std::string out;
  for (const auto& line : lines) out += "\n  | " + line;
  return out;
}

// The simulated host, the bus and the daemon on them.
class Stage {
 public:
  explicit Stage(const Options& options) : options_(options), spec_{.cpus = 6, .memory = 8ULL << 30} {
    spec_.seed = options.seed;
  }

  tl::expected<void, std::string> set_up(const Sandbox& sandbox) {
    const auto& folder = sandbox.folder();
    const auto scenario = simhost::load_scenario(SLUICE_SOURCE_DIR "/tests/demo/host.toml");
    if (!scenario) return tl::unexpected(scenario.error());
    host_ = std::make_unique<simhost::Host>(spec_);
    twin_ = std::make_unique<simhost::Host>(spec_);
    for (auto* host : {host_.get(), twin_.get()}) {
      if (auto done = simhost::populate(*host, *scenario); !done) return tl::unexpected(done.error());
    }
    if (auto proc = simhost::Proc::create(folder + "/proc", *host_); !proc)
      return tl::unexpected(proc.error());
    simhost::FuseOptions fuse;
    fuse.mountpoint = sandbox.mountpoint();
    fuse.allow_other = false;
    auto mounted = simhost::FuseFs::mount(*host_, fuse);
    if (!mounted) return tl::unexpected(mounted.error());
    mounted_ = std::move(*mounted);
    auto bus = start_bus(folder, SLUICE_SOURCE_DIR "/systemd/org.sluice.Governor1.conf");
    if (!bus) return tl::unexpected(bus.error());
    bus_.emplace(std::move(*bus));
    return {};
  }

  tl::expected<void, std::string> start_daemon(const Sandbox& sandbox, const std::string& programs) {
    const auto& folder = sandbox.folder();
    log_ = options_.log.empty() ? folder + "/sluiced.log" : options_.log;
    auto daemon = Child::start(
        {programs + "/sluiced", "--config", options_.config, "--cgroup-root", sandbox.mountpoint(),
         "--any-filesystem", "--proc-root", folder + "/proc", "--state-dir", folder + "/state",
         "--runtime-dir", folder + "/run", "--bus", bus_->address, "--log", "stderr"},
        log_);
    if (!daemon) return tl::unexpected(daemon.error());
    daemon_.emplace(std::move(*daemon));
    auto client = GovernorClient::connect(bus_->address);
    if (!client) return tl::unexpected(client.error());
    client_.emplace(std::move(*client));
    for (int i = 0; i < 200; ++i) {
      const auto seen = client_->look();
      if (seen && !seen->tasks.empty()) return {};
      if (!daemon_->running()) break;
      std::this_thread::sleep_for(milliseconds(50));
    }
    return tl::unexpected("sluiced does not govern; its log says:" + end_of(log_));
  }

  simhost::FuseFs& mounted() { return *mounted_; }
  simhost::Host& twin() { return *twin_; }
  GovernorClient& client() { return *client_; }
  const std::string& address() const { return bus_->address; }
  bool daemon_runs() { return daemon_->running(); }
  std::string last_words() const { return end_of(log_); }
  std::string size() const { return fmt::format("{:.0f} cores, {} GiB", spec_.cpus, spec_.memory >> 30); }
  // As systemctl stop would. The exit status.
  int stop_daemon() { return daemon_ ? daemon_->stop(std::chrono::seconds(10)) : -1; }

 private:
  const Options& options_;
  simhost::HostSpec spec_;
  std::string log_;
  std::unique_ptr<simhost::Host> host_, twin_;
  std::unique_ptr<simhost::FuseFs> mounted_;
  std::optional<PrivateBus> bus_;
  std::optional<Child> daemon_;  // goes before the bus and the mount it uses
  std::optional<GovernorClient> client_;
};

class Show {
 public:
  Show(const Options& options, Stage& stage)
      : options_(options),
        stage_(stage),
        watch_(stage.mounted(), stage.twin(),
               {"/system.slice/clicks.service", "/system.slice/orders.service",
                "/system.slice/sessions.service"}),
        output_(options.plain ? make_lines() : make_screen()) {
    frame_.host = stage.size();
    frame_.address = stage.address();
    frame_.rows.resize(watch_.views().size());
  }

  int run(const sigset_t& stop) {
    const auto begun = Clock::now();
    const auto wall_begun = std::chrono::system_clock::now();
    auto next = begun;
    for (int i = 0;; ++i) {
      watch_.sample();
      frame_.at_s = std::chrono::duration<double>(Clock::now() - begun).count();
      if (i % kSamplesPerReport == 0 && !options_.no_lag) report_lags();
      if (i % kSamplesPerFrame == 0) {
        if (!stage_.daemon_runs()) {
          output_.reset();
          return fail(kFailed, "sluiced ended by itself; its log says:" + stage_.last_words());
        }
        if (!show(wall_begun)) return kOk;  // nobody reads: as good as Ctrl-C
      }
      if (options_.for_s > 0 && frame_.at_s >= options_.for_s) return kOk;
      next = std::max(next + kSampleEvery, Clock::now() + milliseconds(1));
      const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(next - Clock::now());
      const timespec wait{.tv_sec = 0, .tv_nsec = std::clamp<long>(left.count(), 0, 999'999'999)};
      if (sigtimedwait(&stop, nullptr, &wait) > 0) return kOk;
    }
  }

  Totals totals() const {
    return {frame_.at_s, frame_.at_s - measured_from_s_.value_or(0), frame_.adjustments, watch_.views(),
            false};
  }
  bool every_limit_is_back() {
    watch_.sample();
    const auto views = watch_.views();
    return std::all_of(views.begin(), views.end(), [](const auto& view) { return view.at_baseline; });
  }
  void close() { output_.reset(); }

 private:
  bool show(std::chrono::system_clock::time_point wall_begun) {
    if (const auto seen = stage_.client().look(); seen) frame_.governor = *seen;
    std::map<std::string, std::string> why;
    if (const auto changes = stage_.client().changes(frame_.governor); changes) {
      const auto start_usec =
          std::chrono::duration_cast<std::chrono::microseconds>(wall_begun.time_since_epoch()).count();
      for (const auto& change : *changes) {
        ++frame_.adjustments;
        why[change.task] = change.sentence;
        const double at_s = static_cast<double>(static_cast<std::int64_t>(change.at_usec) - start_usec) / 1e6;
        if (!output_->adjusted(std::max(0.0, at_s), change)) return false;
      }
    }
    begin_when_all_have_limits();
    begin_when_all_have_limits();
    const auto views = watch_.views();
    for (std::size_t i = 0; i < views.size(); ++i) {
      Row& row = frame_.rows[i];
      row.model = views[i];
      row.governed.reset();
      for (const auto& [path, task] : frame_.governor.tasks) {
        if (task.name == row.model.name) row.governed = task;
      }
      if (why.contains(row.model.name)) row.why = why[row.model.name];
      remember(row.usage_history, row.model.usage_cores);
      remember(row.cpu_max_history,
               row.governed && row.governed->cpu_max_cores ? *row.governed->cpu_max_cores : 0);
    }
    return output_->frame(frame_);
  }

  // For its first two seconds the daemon only looks. They are no saving and no loss, so they do not count.
  void begin_when_all_have_limits() {
    const auto& tasks = frame_.governor.tasks;
    const auto limited = std::count_if(
        tasks.begin(), tasks.end(), [](const auto& task) { return task.second.cpu_max_cores.has_value(); });
    if (measured_from_s_ || limited < static_cast<long>(frame_.rows.size())) return;
    watch_.begin();
    measured_from_s_ = frame_.at_s;
  }

  // A lost report is no failure: the daemon then goes by the kernel's signals, as for a task that reports
  // nothing.
  void report_lags() {
    for (const auto& view : watch_.views()) {
      if (std::find(kReporting.begin(), kReporting.end(), view.name) == kReporting.end()) continue;
      for (const auto& [path, task] : frame_.governor.tasks) {
        if (task.name != view.name) continue;
        (void)stage_.client().report_load(path, {{"lag", static_cast<double>(view.waiting)},
                                                 {"processed", static_cast<double>(view.finished)},
                                                 {"oldest_age_seconds", view.oldest_age_s}});
      }
    }
  }

  static void remember(std::deque<double>& history, double value) {
    history.push_back(value);
    if (history.size() > kHistoryPoints) history.pop_front();
  }

  const Options& options_;
  Stage& stage_;
  ModelWatch watch_;
  std::unique_ptr<Output> output_;
  Frame frame_;
  std::optional<double> measured_from_s_;
};

int demonstrate(const Options& options) {
  // Before any thread starts, so that all of them leave these signals to sigtimedwait.
  sigset_t stop;
  sigemptyset(&stop);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&stop, signal);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  if (access("/dev/fuse", F_OK) != 0) {
    return fail(kHostLacks,
                "there is no /dev/fuse, which the simulated host needs. Load it with: modprobe fuse. In a "
                "container, start it with: --device /dev/fuse --cap-add SYS_ADMIN");
  }
  // In a chroot the kernel tells it from the outer root once the sandbox has mounts of its own.
  const std::string programs = folder_of_this_program();
  auto sandbox = Sandbox::enter();
  if (!sandbox) return fail(kHostLacks, sandbox.error());
  Stage stage(options);
  if (auto ready = stage.set_up(*sandbox); !ready) return fail(kHostLacks, ready.error());
  if (auto ready = stage.start_daemon(*sandbox, programs); !ready) return fail(kFailed, ready.error());

  if (options.plain) {
    const char* lag = options.no_lag ? "No task reports its lag: the kernel's signals are all there is."
                                     : "clicks and orders report their lag over D-Bus, sessions does not.";
    put(
        fmt::format("A simulated host of {}, and sluiced on it with {}.\n{} While it runs, look yourself:\n"
                    "  busctl --address={} tree org.sluice.Governor1\n\n",
                    stage.size(), options.config, lag, stage.address()));
  }
  Show show(options, stage);
  const int status = show.run(stop);
  show.close();
  if (status != kOk) return status;
  auto totals = show.totals();
  const int daemon_status = stage.stop_daemon();
  totals.given_back = show.every_limit_is_back();
  put(summary(totals));
  if (daemon_status != 0)
    return fail(kFailed, fmt::format("sluiced ended with status {}; its log says:{}", daemon_status,
                                     stage.last_words()));
  return totals.given_back ? kOk : kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string duration;
  CLI::App app{"The daemon on a simulated host with three stream tasks. Touches nothing of this host.",
               "sluice-demo"};
  app.add_option("--for", duration, "end by itself after so long (30s, 5m, 1h); otherwise with Ctrl-C");
  app.add_flag("--plain", options.plain,
               "lines instead of a table that is redrawn; so it is without a terminal");
  app.add_option("--seed", options.seed, "equal seeds give equal loads")->capture_default_str();
  app.add_option("--config", options.config, "sluiced's configuration")->capture_default_str();
  app.add_flag("--no-lag", options.no_lag,
               "no task reports its lag: all are governed by the kernel's signals alone");
  app.add_option("--log", options.log, "append sluiced's log to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kBadUsage;
  }
  if (!duration.empty()) {
    if (const auto wrong = parse_duration(duration, options.for_s); !wrong.empty())
      return fail(kBadUsage, "--for: " + wrong);
  }
  if (isatty(STDOUT_FILENO) == 0) options.plain = true;
  return demonstrate(options);
}
