#include "tests/bench/memory/study.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/bench/governed.hpp"
#include "tests/bench/memory/peer.hpp"
#include "tests/bench/parallel.hpp"

namespace sluice::bench {
namespace {

struct Reference {
  MemoryHindsight hindsight;
  MemoryFigures at_peak;  // static: memory.max is the peak
  Bytes peak = 0;
};

Reference run_reference(const MemoryTrace& trace, std::uint64_t seed) {
  Reference out;
  MemoryBed unlimited(trace, seed, std::nullopt);
  int ticks = 0;
  unlimited.run([&] {
    const auto current = *unlimited.host().sample(unlimited.id()).memory_current;
    out.peak = std::max(out.peak, current);
    if (++ticks % 10 == 0 && unlimited.now_s() > kMemoryWarmUpSeconds) {
      out.hindsight.bytes_by_second.push_back(static_cast<double>(current));
    }
  });
  MemoryBed limited(trace, seed, out.peak);
  limited.run([] {});
  out.at_peak = limited.figures();
  return out;
}

void run_peer(MemoryBed& bed, MemoryPeer& peer) {
  PressureTotals before;
  int ticks = 0;
  bed.run([&] {
    if (++ticks % 10 != 0) return;
    const Sample s = bed.host().sample(bed.id());
    const MemoryAction action =
        peer.decide({.now_s = bed.now_s(),
                     .current_bytes = static_cast<double>(*s.memory_current),
                     .some_usec = static_cast<double>((s.memory_pressure->some - before.some).count())});
    before = *s.memory_pressure;
    if (action.high_bytes) bed.write_high(*action.high_bytes);
    if (action.reclaim_bytes > 0) bed.reclaim(action.reclaim_bytes);
  });
}

MemoryRow row_of(std::size_t trace, std::uint64_t seed, const Reference& reference,
                 const MemoryFigures& figures) {
  MemoryRow out;
  out.trace = trace;
  out.seed = seed;
  out.figures = figures;
  out.static_mean_bytes = reference.at_peak.mean_bytes;
  out.static_limit_bytes = reference.at_peak.limit_bytes;
  out.static_stall = reference.at_peak.stall_share;
  return out;
}

MemoryRow run_ours(const MemoryTrace& trace, std::size_t index, std::uint64_t seed,
                   const Reference& reference) {
  MemoryBed bed(trace, seed, reference.peak);
  config::TaskPolicy policy;
  policy.cpu.enabled = false;
  policy.memory.max_bytes = reference.peak;
  policy.memory.min_bytes = 16ULL << 20;
  policy.memory.pressure_target = kStallAllowed;
  Governed governed(bed.host(), Visibility::kernel, [&](const Write& w) { return bed.write(w); });
  governed.add(bed.id(), bed.cgroup(), policy);
  bed.run([&] { governed.full_tick(); });
  MemoryRow out = row_of(index, seed, reference, bed.figures());
  out.policy = "ours";
  out.violations = governed.violations();
  return out;
}

using Rows = std::vector<const MemoryRow*>;

MemoryLine line_of(const Rows& rows, std::string policy, std::string setting) {
  MemoryLine out{.policy = std::move(policy), .setting = std::move(setting)};
  const auto n = static_cast<double>(rows.size());
  double bytes = 0, static_bytes = 0;
  for (const MemoryRow* r : rows) {
    const MemoryFigures& f = r->figures;
    out.in_use += std::log(r->in_use()) / n;
    out.limit += std::log(r->limit()) / n;
    bytes += f.mean_bytes;
    static_bytes += r->static_mean_bytes;
    out.stall += f.stall_share / n;
    out.stall_most = std::max(out.stall_most, f.stall_share);
    out.stall_worst_10s = std::max(out.stall_worst_10s, f.stall_worst_10s);
    out.hangs += f.hangs;
    out.oom_kills += f.oom_kills;
    out.writes_per_minute += f.writes_per_minute / n;
    out.writes_worst_minute = std::max(out.writes_worst_minute, f.writes_worst_minute);
    out.violations += r->violations;
  }
  out.in_use = std::exp(out.in_use);
  out.limit = std::exp(out.limit);
  out.in_use_by_bytes = bytes / static_bytes;
  out.runs = rows.size();
  return out;
}

bool better(const MemoryRow& a, const MemoryRow& b) {
  if (a.sound() != b.sound()) return a.sound();
  return a.sound() ? a.figures.mean_bytes < b.figures.mean_bytes
                   : a.figures.stall_share < b.figures.stall_share;
}

}  // namespace

std::vector<MemoryRow> run_memory_study(const std::vector<MemoryTrace>& traces, std::uint64_t seed,
                                        unsigned jobs, bool peers) {
  std::vector<Reference> references(traces.size());
  std::vector<std::function<void()>> work;
  for (std::size_t t = 0; t < traces.size(); ++t) {
    work.emplace_back([&, t] { references[t] = run_reference(traces[t], seed); });
  }
  in_parallel(work, jobs);

  std::vector<std::function<void()>> runs;
  std::vector<MemoryRow> out;
  std::vector<std::function<MemoryRow()>> jobs_of;
  for (std::size_t t = 0; t < traces.size(); ++t) {
    jobs_of.emplace_back([&, t] { return run_ours(traces[t], t, seed, references[t]); });
    if (!peers) continue;
    for (auto& setting : memory_settings(references[t].hindsight)) {
      jobs_of.emplace_back([&, t, setting = std::move(setting)] {
        const auto most = static_cast<double>(references[t].peak) * setting.max_share;
        MemoryBed bed(traces[t], seed, static_cast<Bytes>(most));
        run_peer(bed, *setting.start());
        MemoryRow row = row_of(t, seed, references[t], bed.figures());
        row.policy = setting.peer;
        row.setting = setting.setting;
        row.published = setting.published;
        return row;
      });
    }
  }
  out.resize(jobs_of.size());
  for (std::size_t i = 0; i < jobs_of.size(); ++i) {
    runs.emplace_back([&, i] { out[i] = jobs_of[i](); });
  }
  in_parallel(runs, jobs);
  return out;
}

std::vector<MemoryLine> summarise(const std::vector<MemoryRow>& rows) {
  std::vector<std::string> order;
  std::map<std::string, Rows> published;
  std::map<std::string, std::map<std::pair<std::size_t, std::uint64_t>, const MemoryRow*>> best;
  Rows ours;
  for (const MemoryRow& r : rows) {
    if (r.policy == "ours") {
      ours.push_back(&r);
      continue;
    }
    if (!best.contains(r.policy)) order.push_back(r.policy);
    if (r.published) published[r.policy].push_back(&r);
    auto& champion = best[r.policy][{r.trace, r.seed}];
    if (champion == nullptr || better(r, *champion)) champion = &r;
  }
  std::vector<MemoryLine> out;
  if (!ours.empty()) out.push_back(line_of(ours, "ours", ""));
  for (const auto& peer : order) {
    out.push_back(line_of(published[peer], peer, "published"));
    Rows chosen;
    for (const auto& [which, row] : best[peer]) chosen.push_back(row);
    out.push_back(line_of(chosen, peer, "best"));
  }
  return out;
}

}  // namespace sluice::bench
