// The memory study as a table, as goals, as JSON.
#include <fmt/format.h>

#include <utility>

#include "tests/bench/export.hpp"
#include "tests/bench/memory/study.hpp"

namespace sluice::bench {
namespace {

constexpr double kSaving = 0.32;  // of the memory in use under static
constexpr double kMiB = 1 << 20;

std::string name_of(const MemoryLine& l) {
  return l.setting.empty() ? l.policy : l.policy + ", " + l.setting;
}

std::string row_json(const MemoryRow& r, const std::vector<MemoryTrace>& traces) {
  const MemoryFigures& f = r.figures;
  JsonObject out;
  out.text("trace", traces[r.trace].name)
      .whole("seed", r.seed)
      .text("policy", r.policy)
      .text("setting", r.setting)
      .flag("published", r.published)
      .number("mean_bytes", f.mean_bytes)
      .number("mean_to_static", r.in_use())
      .number("limit_to_static", r.limit())
      .number("peak_bytes", f.peak_bytes)
      .number("stall_share", f.stall_share)
      .number("stall_share_static", r.static_stall)
      .number("stall_share_worst_10s", f.stall_worst_10s)
      .whole("hangs", f.hangs)
      .number("hang_longest_s", f.hang_longest_s)
      .whole("oom_kills", f.oom_kills)
      .number("writes_per_minute", f.writes_per_minute)
      .whole("writes_worst_minute", f.writes_worst_minute)
      .number("delay_p99_s", f.delay_p99_s)
      .whole("plan_violations", r.violations);
  return out.done();
}

std::string line_json(const MemoryLine& l) {
  JsonObject out;
  out.text("policy", l.policy)
      .text("setting", l.setting)
      .whole("runs", l.runs)
      .number("mean_to_static_geometric", l.in_use)
      .number("mean_to_static_by_bytes", l.in_use_by_bytes)
      .number("limit_to_static_geometric", l.limit)
      .number("stall_share", l.stall)
      .number("stall_share_worst_trace", l.stall_most)
      .number("stall_share_worst_10s", l.stall_worst_10s)
      .whole("hangs", l.hangs)
      .whole("oom_kills", l.oom_kills)
      .number("writes_per_minute", l.writes_per_minute)
      .whole("writes_worst_minute", l.writes_worst_minute)
      .whole("plan_violations", l.violations);
  return out.done();
}

void add_against(const MemoryLine& ours, const MemoryLine& tmo, std::vector<Goal>& out) {
  const auto name = name_of(tmo);
  out.push_back({fmt::format("memory: in use / that of {}", name), "< 1.00",
                 fmt::format("{:.3f}", ours.in_use / tmo.in_use), ours.in_use < tmo.in_use});
  out.push_back({fmt::format("memory: stall, mean of traces, against {}", name),
                 fmt::format("<= {:.4f} %", 100 * tmo.stall), fmt::format("{:.4f} %", 100 * ours.stall),
                 ours.stall <= tmo.stall});
}

}  // namespace

std::vector<Goal> memory_goals(const std::vector<MemoryLine>& lines) {
  std::vector<Goal> out;
  if (lines.empty() || lines.front().policy != "ours") return out;
  const MemoryLine& ours = lines.front();
  out.push_back({"memory: less in use than static, geometric mean", fmt::format(">= {:.0f} %", 100 * kSaving),
                 fmt::format("{:.1f} %", 100 * (1 - ours.in_use)), ours.in_use <= 1 - kSaving});
  out.push_back({"memory: stall, each trace", fmt::format("<= {:g} %", 100 * kStallAllowed),
                 fmt::format("{:.3f} %", 100 * ours.stall_most), ours.stall_most <= kStallAllowed});
  out.push_back({"memory: hangs and OOM kills, each trace", "0",
                 fmt::format("{}", ours.hangs + ours.oom_kills), ours.hangs + ours.oom_kills == 0});
  for (const MemoryLine& l : lines) {
    if (l.policy == "TMO") add_against(ours, l, out);
  }
  return out;
}

void print_memory(std::FILE* out, const std::vector<MemoryTrace>& traces, const std::vector<MemoryRow>& rows,
                  const std::vector<MemoryLine>& lines, bool all_runs) {
  fmt::print(out,
             "\nMemory. in use, limit: means against the same load under its peak as memory.max; stall: PSI "
             "some, % of "
             "wall time (! above {:g} %);\n10 s: the worst ten seconds; hangs: stretches of more than {:g} s "
             "without "
             "any progress; wr/m: writes of memory.high and memory.reclaim a minute\n",
             100 * kStallAllowed, kHangSeconds);
  constexpr auto kHead = "{:<44}{:>8}{:>8}{:>9}{:>8}{:>7}{:>6}{:>8}{:>6}\n";
  constexpr auto kRow = "{:<44}{:8.3f}{:8.3f}{:8.4f}{}{:7.2f}%{:7}{:6}{:8.1f}{:6}\n";
  for (std::size_t t = 0; t < traces.size(); ++t) {
    bool first = true;
    for (const MemoryRow& r : rows) {
      if (r.trace != t) continue;
      if (std::exchange(first, false)) {
        fmt::print(out, "\n{}: {} ({} s, static keeps {:.0f} MiB of {:.0f})\n", traces[t].name,
                   traces[t].note, traces[t].seconds, r.static_mean_bytes / kMiB,
                   r.static_limit_bytes / kMiB);
        fmt::print(out, kHead, "", "in use", "limit", "stall %", "10 s", "hangs", "OOM", "wr/m", "most");
      }
      if (!all_runs && r.policy != "ours" && !r.published) continue;
      const MemoryFigures& f = r.figures;
      fmt::print(out, kRow, r.policy + (r.setting.empty() ? "" : ", " + r.setting), r.in_use(), r.limit(),
                 100 * f.stall_share, r.sound() ? ' ' : '!', 100 * f.stall_worst_10s, f.hangs, f.oom_kills,
                 f.writes_per_minute, f.writes_worst_minute);
    }
  }
  fmt::print(out, "\nMemory, all traces: geometric means; stall: mean, and of the worst trace\n");
  fmt::print(out, "{:<30}{:>8}{:>8}{:>8}{:>9}{:>9}{:>8}{:>7}{:>6}{:>8}{:>6}\n", "", "in use", "(bytes)",
             "limit", "stall %", "worst %", "10 s", "hangs", "OOM", "wr/m", "most");
  for (const MemoryLine& l : lines) {
    fmt::print(out, "{:<30}{:8.3f}{:8.3f}{:8.3f}{:9.4f}{:9.4f}{:7.2f}%{:7}{:6}{:8.1f}{:6}{}\n", name_of(l),
               l.in_use, l.in_use_by_bytes, l.limit, 100 * l.stall, 100 * l.stall_most,
               100 * l.stall_worst_10s, l.hangs, l.oom_kills, l.writes_per_minute, l.writes_worst_minute,
               l.violations > 0 ? fmt::format("  BROKEN: {} plans violated an invariant", l.violations) : "");
  }
}

std::string memory_json(const std::vector<MemoryTrace>& traces, const std::vector<MemoryRow>& rows,
                        const std::vector<MemoryLine>& lines, const std::vector<Goal>& goals) {
  JsonObject out;
  out.raw("traces", json_array(traces,
                               [](const MemoryTrace& t) {
                                 return JsonObject()
                                     .text("name", t.name)
                                     .whole("seconds", t.seconds)
                                     .text("note", t.note)
                                     .done();
                               }))
      .raw("summary", json_array(lines, line_json))
      .raw("goals", goals_json(goals))
      .raw("runs", json_array(rows, [&](const MemoryRow& r) { return row_json(r, traces); }));
  return out.done();
}

}  // namespace sluice::bench
