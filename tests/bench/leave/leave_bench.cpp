// Many tasks leave at once: the longest tick then, compared with the longest tick before. Engine and lease
// are the daemon's own, the lease is a real file, the host is in memory.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "daemon/files/files.hpp"
#include "daemon/run/engine.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

constexpr Bytes kMiB = 1 << 20;

// Knobs hold the last written value. Every task is throttled, so each has a quota of ours.
class MemoryHost final : public Host {
 public:
  struct Group {
    std::string path;
    CpuMax cpu_max{.quota = 3s, .period = 100ms, .burst = 0us};
    MemoryLimit memory_high{900 * kMiB};
    CpuUsage usage;
    CpuBandwidth bandwidth;
  };

  explicit MemoryHost(std::size_t tasks) {
    for (std::size_t i = 0; i < tasks; ++i)
      groups[CgroupId{100 + i}].path = fmt::format("/system.slice/task@{}.service", i);
  }

  cgroups::Result<cgroups::Walk> walk() override {
    cgroups::Walk out;
    for (const auto& [id, group] : groups) out.cgroups.push_back({group.path, id});
    return out;
  }
  cgroups::Result<void> open(CgroupId id, const std::string& path) override {
    if (groups.contains(id)) return {};
    return tl::unexpected(cgroups::Error{ENOENT, path, "open"});
  }
  bool alive(CgroupId id) override { return groups.contains(id); }
  void close(CgroupId) override {}
  std::vector<std::optional<Sample>> sample(std::span<const CgroupId> ids) override {
    std::vector<std::optional<Sample>> out;
    for (const auto id : ids) out.push_back(sample_of(id));
    return out;
  }
  void submit(std::vector<Write> orders) override {
    for (const auto& order : orders) {
      Receipt r;
      r.id = order.id;
      r.knob = order.knob;
      r.asked = order.value;
      r.started_at = r.finished_at = now;
      const auto group = groups.find(order.id);
      if (group == groups.end()) {
        r.result = Receipt::Result::vanished;
        r.error_number = ENODEV;
      } else {
        if (order.knob == Knob::cpu_max) {
          group->second.cpu_max = std::get<CpuMax>(order.value);
        } else {
          group->second.memory_high = std::get<MemoryLimit>(order.value);
        }
        r.holds = order.value;
        r.written_at = now;
      }
      answers_.push_back(std::move(r));
    }
  }
  std::vector<Receipt> receipts() override { return std::exchange(answers_, {}); }

  void pass(Nsec time) {
    now += time;
    for (auto& [id, group] : groups) {
      group.usage.usage += 120ms;
      group.bandwidth.nr_periods += 1;
      group.bandwidth.nr_throttled += 1;
      group.bandwidth.throttled += 100ms;
    }
  }

  std::map<CgroupId, Group> groups;
  MonotonicTime now{1000s};

 private:
  std::optional<Sample> sample_of(CgroupId id) const {
    const auto found = groups.find(id);
    if (found == groups.end()) return std::nullopt;
    const Group& group = found->second;
    Sample s;
    s.id = id;
    s.read_at = now;
    s.cpu = group.usage;
    s.bandwidth = group.bandwidth;
    s.cpu_pressure = s.memory_pressure = PressureTotals{};
    s.memory_current = 300 * kMiB;
    s.memory_stat = MemoryStat{.anon = 50 * kMiB, .file = 240 * kMiB, .unreclaimable = 2 * kMiB};
    s.memory_events = MemoryEvents{};
    s.cpu_max = group.cpu_max;
    s.memory_high = group.memory_high;
    return s;
  }

  std::vector<Receipt> answers_;
};

config::Config configuration(bool names_them) {
  config::Config out;
  out.node.mode = config::Mode::enforce;
  out.node.discovery = 1s;
  config::Task task;
  task.match_unit = names_them ? "task@*.service" : "nobody.service";
  task.policy.cpu.initial_cores = 1.5;
  task.policy.memory.min_bytes = 16 * kMiB;
  out.tasks.push_back(task);
  return out;
}

class Bench {
 public:
  Bench(std::size_t tasks, const std::string& directory)
      : host_(tasks), node_{static_cast<double>(4 * tasks), tasks << 32} {
    auto lease = actuate::Lease::open(files_, directory, "boot");
    auto holds = record::HoldStore::open(files_, directory, "boot");
    if (!lease || !holds) throw std::runtime_error(directory + ": cannot be written");
    engine_.emplace(host_, Engine::Parts{std::move(*lease), std::move(*holds), configuration(true), {}});
  }

  // Runs `ticks` ticks; returns the longest one in ms.
  double run(int ticks) {
    double longest = 0;
    for (int i = 0; i < ticks; ++i) {
      host_.pass(100ms);
      const auto began = std::chrono::steady_clock::now();
      engine_->look(host_.now);
      engine_->full_tick({host_.now, {}, node_});
      engine_->collect_receipts();
      longest = std::max(longest, 1e3 * in_seconds(std::chrono::steady_clock::now() - began));
      engine_->take_reports();
      engine_->take_sentences();
    }
    return longest;
  }

  std::size_t limits() const { return engine_->left().size(); }
  void vanish() { host_.groups.clear(); }
  void unname() { engine_->reload(configuration(false)); }
  // Number of knobs that do not hold their first value.
  std::size_t kept() const {
    const MemoryHost::Group before;
    return static_cast<std::size_t>(
        std::count_if(host_.groups.begin(), host_.groups.end(), [&](const auto& g) {
          return g.second.cpu_max != before.cpu_max || g.second.memory_high != before.memory_high;
        }));
  }

 private:
  files::Files& files_ = files::posix_files();
  MemoryHost host_;
  NodeFacts node_;
  std::optional<Engine> engine_;
};

int measure(std::size_t tasks, const std::string& parent) {
  const double tick_ms = 1e3 * in_seconds(config::Config{}.node.tick);
  bool ok = true;
  for (const bool vanish : {true, false}) {
    std::string directory = parent + "/leave-bench-XXXXXX";
    if (mkdtemp(directory.data()) == nullptr) throw std::runtime_error(directory + ": cannot be made");
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
    {
      Bench bench(tasks, directory);
      bench.run(20);  // discovery and first limits
      const double before = bench.run(100);
      const std::size_t limits = bench.limits();
      vanish ? bench.vanish() : bench.unname();
      const double after = bench.run(100);
      fmt::print("{} tasks, {} limits of ours; {}\n", tasks, limits,
                 vanish ? "all cgroups vanish" : "a reload after which no rule names them");
      fmt::print(
          "  longest tick before {:.2f} ms, after {:.2f} ms: {:.1f} times, and {:.3f} of a tick of {:.0f} "
          "ms\n",
          before, after, after / before, after / tick_ms, tick_ms);
      if (limits == 0 || bench.limits() != 0 || bench.kept() != 0) {
        fmt::print("  WRONG: {} limits before, {} on file and {} in force after\n", limits, bench.limits(),
                   bench.kept());
        ok = false;
      }
    }
    std::filesystem::remove_all(directory);
  }
  return ok ? 0 : 2;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  try {
    return sluice::measure(argc > 1 ? std::stoul(argv[1]) : 1000, argc > 2 ? argv[2] : "/run");
  } catch (const std::exception& e) {
    fmt::print(stderr, "leave_bench: {}\n", e.what());
    return 2;
  }
}
