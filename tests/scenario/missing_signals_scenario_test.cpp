// Whatever is missing, falls or belongs to another cgroup: no limit is lowered because of it.
#include <rapidcheck.h>

#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = 1 << 20;

// What a tick may conclude from two samples of one task.
struct Known {
  bool cpu = false;  // usage, and whether the quota throttled it
  bool memory = false;
};

Known known_from(const std::optional<Sample>& before, const std::optional<Sample>& now) {
  if (!before || !now || before->id != now->id || now->read_at <= before->read_at) return {};
  const Sample& a = *before;
  const Sample& b = *now;
  Known k;
  k.cpu = a.cpu && b.cpu && b.cpu->usage >= a.cpu->usage && a.bandwidth && b.bandwidth &&
          b.bandwidth->nr_periods >= a.bandwidth->nr_periods &&
          b.bandwidth->nr_throttled >= a.bandwidth->nr_throttled;
  k.memory = a.memory_pressure && b.memory_pressure && b.memory_pressure->some >= a.memory_pressure->some &&
             a.memory_stat && b.memory_stat && b.memory_current &&
             b.memory_stat->workingset_refault_anon >= a.memory_stat->workingset_refault_anon &&
             b.memory_stat->workingset_refault_file >= a.memory_stat->workingset_refault_file;
  return k;
}

// Faults of a sample. All of them occur in practice: a file that cannot be read, a walk that skips a cgroup,
// a counter that fell after a reset, a directory created again under the same name.
void spoil(Observation& o, int kind) {
  Sample& s = *o.sample;
  switch (kind) {
    case 0:
      o.sample.reset();
      return;
    case 1:
      s.cpu.reset();
      return;
    case 2:
      s.bandwidth.reset();
      return;
    case 3:
      s.memory_pressure.reset();
      return;
    case 4:
      s.memory_stat.reset();
      return;
    case 5:
      s.memory_current.reset();
      return;
    case 6:
      s.cpu->usage = s.cpu->user = s.cpu->system = Usec{};
      return;
    case 7:
      s.bandwidth = CpuBandwidth{};
      return;
    case 8:
      s.memory_pressure = PressureTotals{};
      return;
    case 9:
      s.memory_stat->workingset_refault_anon = s.memory_stat->workingset_refault_file = 0;
      return;
    case 10:
      s.id.value += 1'000'000;  // another cgroup with the same name
      return;
    default:
      s.read_at = MonotonicTime{Nsec{1}};  // no time has passed, or it went back
  }
}
constexpr int kKinds = 12;

bool by_a_controller(Rule rule) {
  return rule == Rule::cpu_surplus || rule == Rule::cpu_idle || rule == Rule::cpu_unlimited ||
         rule == Rule::cpu_undo || rule == Rule::memory_probe;
}

struct Dice {
  std::uint64_t state;
  int roll(int sides) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<int>((state >> 33) % static_cast<std::uint64_t>(sides));
  }
};

class SpoiledHost {
 public:
  explicit SpoiledHost(std::uint64_t seed, int percent)
      : host({.cpus = 8, .memory = 8192 * kMiB, .seed = seed}) {
    host.distort = [this, percent, dice = Dice{seed}](Observation& o) mutable {
      if (dice.roll(100) < percent) spoil(o, dice.roll(kKinds));
      known[o.facts.id] = known_from(last[o.facts.id], o.sample);
      if (o.sample) last[o.facts.id] = o.sample;
    };
    host.on_tick = [this](const Input& input, const Plan& plan) {
      for (const auto& w : plan.writes) check(input, w);
    };
  }

  GovernedHost host;
  std::map<CgroupId, Known> known;
  std::map<CgroupId, std::optional<Sample>> last;
  std::size_t shrinks = 0;
  std::vector<std::string> wrong;

 private:
  void check(const Input& input, const Write& w) {
    const auto& task = host.state.tasks.at(w.id);
    const bool cpu = w.knob == Knob::cpu_max;
    const double holds = number_of(cpu ? task.cpu.limit.value() : task.memory.limit.value());
    if (!by_a_controller(w.reason.rule) || number_of(w.value) >= holds) return;
    ++shrinks;
    const Known& k = known[w.id];
    if (cpu ? k.cpu : k.memory) return;
    wrong.push_back(std::string(to_string(w.reason.rule)) + " at " +
                    std::to_string(input.now.time_since_epoch().count()) + " from " + std::to_string(holds) +
                    " to " + std::to_string(number_of(w.value)));
  }
};

void add_tasks(GovernedHost& host) {
  const char* loads[] = {"diurnal:base=50,peak=500,period=20,noise=0.3",
                         "burst:base=20,peak=600,start=10,length=5", "10"};
  for (int i = 0; i < 3; ++i) {
    simhost::TaskSpec s;
    s.cgroup = "/t" + std::to_string(i);
    s.work.load = simhost::Load::parse(loads[i]).value();
    s.work.cost_usec = 3000;
    s.work.threads = 4;
    s.memory.anon = 100 * kMiB;
    s.memory.file_cold = 400 * kMiB;
    s.memory.file_hot = 60 * kMiB;
    config::TaskPolicy p;
    p.cpu.max_cores = 4;
    host.add(s, p);
  }
}

TEST(MissingSignals, NothingShrinksOnThem) {
  std::size_t shrinks = 0;
  EXPECT_TRUE(rc::check("a lower limit has both samples behind it", [&shrinks] {
    SpoiledHost h(static_cast<std::uint64_t>(*rc::gen::inRange(1, 1'000'000)), *rc::gen::element(3, 20, 60));
    add_tasks(h.host);
    h.host.run(40s);
    if (!h.wrong.empty()) RC_FAIL(h.wrong.front());
    RC_ASSERT(h.host.violations == 0U);
    shrinks += h.shrinks;
  }));
  EXPECT_GT(shrinks, 1000U) << "a governor that never shrinks would have passed";
}

// One kind of fault, permanently: the limit that depends on it never goes below its start.
class AlwaysMissing : public ::testing::TestWithParam<int> {};

TEST_P(AlwaysMissing, TheKnobThatNeedsItStaysUp) {
  const int kind = GetParam();
  // As many CPUs as the sum of the maxima: no task has to make room for another.
  GovernedHost g({.cpus = 16, .memory = 8192 * kMiB, .seed = 9});
  add_tasks(g);
  const bool cpu = kind <= 2, memory = kind == 0 || (kind >= 3 && kind <= 5);
  g.distort = [kind](Observation& o) { spoil(o, kind); };
  g.run(60s, [&] {
    for (const auto& [id, t] : g.state.tasks) {
      // The first move into the bounds follows from the configuration, not from signals.
      EXPECT_GE(number_of(t.cpu.limit.value()), cpu ? 4.0 : 0.0);
      EXPECT_GE(number_of(t.memory.limit.value()), memory ? 560.0 * kMiB : 0.0);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Kinds, AlwaysMissing, ::testing::Range(0, 6));

}  // namespace
}  // namespace sluice::testing
