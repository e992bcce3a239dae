// Replaying a recorded run gives the same run. Under another configuration it shows what would differ.
#include "daemon/record/lines.hpp"
#include "daemon/record/replay.hpp"
#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = 1 << 20;

// A host with every kind of input: events, refused writes, commands, lag, a reload.
class RecordedRun {
 public:
  enum class Writes { sound, faulty };
  explicit RecordedRun(Nsec length, Writes kind = Writes::sound)
      : host({.cpus = 4, .memory = 4096 * kMiB, .seed = 5}) {
    host.set_quota(host.add(task(0), policy()), 0.1);
    for (int i = 1; i < 3; ++i) host.add(task(i), policy());
    lines.push_back(out.header({}));
    lines.push_back(out.line(record::ConfigEntry{host.config}));
    host.on_tick = [this](const Input& input, const Plan& plan) {
      writes += plan.writes.size();
      events += input.events.size();
      lines.push_back(out.line(record::TickEntry{input, plan}));
    };
    std::uint64_t dice = 3;
    if (kind == Writes::faulty)
      host.intercept = [this, dice](const Write& w) mutable {
        dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
        if ((dice >> 33) % 20 != 0) return host.host.apply(w);
        Receipt r;
        r.id = w.id;
        r.knob = w.knob;
        r.asked = w.value;
        r.result = Receipt::Result::timed_out;
        r.path = "/sys/fs/cgroup/odd name\n/cpu.max";
        r.started_at = r.finished_at = host.now();
        return r;
      };
    host.run(length / 2, [this] {
      LoadReport load;
      load.lag = 12.25;
      load.processed = 1e6 / 3;
      host.commands.push_back(ReportLoadCommand{"/t1", load, host.now() + 1s});
    });
    host.commands.push_back(PinCommand{"/t2", 1.5, {}, host.now() + 5s, "release night", ":1.7"});
    host.config.tasks[1].policy.max_delay = 400ms;
    config_reloaded(host.state);
    lines.push_back(out.line(record::ConfigEntry{host.config}));
    host.run(length / 2);
    lines.push_back(out.line(record::EndEntry{"stopped"}));
  }

  // The entries of the recording, read back.
  std::vector<record::Entry> entries() const {
    record::LineReader in;
    std::vector<record::Entry> all;
    for (const auto& line : lines) {
      const std::string_view text(line.data(), line.size() - 1);
      if (all.empty() && &line == &lines.front()) {
        EXPECT_TRUE(in.header(text));
        continue;
      }
      auto entry = in.entry(text);
      EXPECT_TRUE(entry) << entry.error();
      if (entry) all.push_back(std::move(*entry));
    }
    return all;
  }

  GovernedHost host;
  record::LineWriter out;
  std::vector<std::string> lines;
  std::size_t writes = 0, events = 0;

 private:
  static simhost::TaskSpec task(int i) {
    simhost::TaskSpec s;
    s.cgroup = "/t" + std::to_string(i);
    s.work.load = simhost::Load::parse("diurnal:base=50,peak=500,period=40,noise=0.3").value();
    s.work.cost_usec = 2000;
    s.work.threads = 3;
    s.memory.anon = 100 * kMiB;
    s.memory.file_cold = 300 * kMiB;
    return s;
  }
  static config::TaskPolicy policy() {
    config::TaskPolicy p;
    p.cpu.max_cores = 3;
    return p;
  }
};

TEST(Replay, ARecordedRunGivesTheSamePlansByteForByte) {
  const RecordedRun run(120s, RecordedRun::Writes::faulty);
  ASSERT_GT(run.writes, 100U);
  ASSERT_GT(run.events, 10U);
  record::Replay replay;
  std::size_t ticks = 0, different = 0, samples = 0, bytes = 0;
  for (const auto& line : run.lines) bytes += line.size();
  for (const auto& entry : run.entries()) {
    const auto plan = replay.take(entry);
    if (!plan) continue;
    ++ticks;
    samples += std::get<record::TickEntry>(entry).input.tasks.size();
    different += record::same(*plan, std::get<record::TickEntry>(entry).plan) ? 0 : 1;
  }
  EXPECT_GE(ticks, 1200U);
  EXPECT_EQ(different, 0U);
  EXPECT_LT(bytes, 300 * samples) << "a busy task with every signal, plans and events included";
  RecordProperty("bytes_per_sample", static_cast<int>(bytes / samples));
  EXPECT_EQ(replay.state().ticks, run.host.state.ticks);
}

TEST(Replay, ADifferenceIsSeen) {
  const RecordedRun run(20s);
  record::Replay replay;
  std::size_t different = 0;
  for (auto entry : run.entries()) {
    if (auto* c = std::get_if<record::ConfigEntry>(&entry)) c->config.tasks[0].policy.cpu.max_cores = 0.3;
    const auto plan = replay.take(entry);
    if (plan) different += record::same(*plan, std::get<record::TickEntry>(entry).plan) ? 0 : 1;
  }
  EXPECT_GT(different, 0U);
}

std::map<CgroupId, record::WhatIf::Task> under(const RecordedRun& run, const config::Config& config,
                                               const record::WhatIf::Match& match) {
  record::Replay replay;
  record::WhatIf what_if(config, match);
  for (const auto& entry : run.entries()) {
    if (const auto* tick = std::get_if<record::TickEntry>(&entry)) (void)what_if.take(*tick, replay.state());
    (void)replay.take(entry);
  }
  return what_if.tasks();
}

TEST(Replay, AnotherConfigurationIsHeldToItsBounds) {
  const RecordedRun run(120s);
  auto config = run.host.config;
  config.tasks[0].policy.cpu.max_cores = 0.2;
  const auto match = [](const TaskFacts& f) -> std::optional<std::size_t> {
    if (f.name == "/t2") return std::nullopt;
    return f.config_index;
  };
  const auto tasks = under(run, config, match);
  ASSERT_EQ(tasks.size(), 3U);
  for (const auto& [id, t] : tasks) {
    EXPECT_EQ(t.governed, t.name != "/t2");
    EXPECT_NEAR(t.seconds, 120, 1);
    EXPECT_GT(t.recorded.writes, 10U);
    if (t.name == "/t0") {
      EXPECT_LT(t.replayed.core_seconds, 0.21 * t.seconds);
      EXPECT_GT(t.recorded.core_seconds, 0.4 * t.seconds);
      EXPECT_GT(t.short_core_seconds, 0.4 * t.used_core_seconds) << "the load is 0.55 cores in the mean";
    }
    EXPECT_EQ(t.replayed.writes == 0, t.name == "/t2");
  }
}

TEST(Replay, TheSameConfigurationStaysCloseToWhatWasRecorded) {
  const RecordedRun run(120s);
  const auto tasks =
      under(run, run.host.config, [](const TaskFacts& f) { return std::optional(f.config_index); });
  for (const auto& [id, t] : tasks) {
    // Not identical: the configuration after the reload applies from the beginning here.
    EXPECT_NEAR(t.replayed.core_seconds / t.recorded.core_seconds, 1, 0.4) << t.name;
    EXPECT_LT(t.short_core_seconds, 0.2 * t.used_core_seconds) << t.name;
  }
}

}  // namespace
}  // namespace sluice::testing
