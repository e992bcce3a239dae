// sluice-replay: feeds a recording to the tick again. Reads files, writes to standard output, touches
// nothing.
#include "daemon/record/replay.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <system_error>

#include "config/load.hpp"
#include "daemon/process/standard_streams.hpp"
#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"
#include "daemon/record/reader.hpp"
#include "daemon/run/registry.hpp"
#include "daemon/version.hpp"

namespace {

using namespace sluice;
using record::Entry;
using record::TickEntry;

enum Exit : int { kSame = 0, kDifferent = 1, kBadUsage = 2, kPartial = 3 };

struct Options {
  std::string file, config_file;
  std::size_t lines = 40;
};

// A diff of decisions, cut off after so many lines.
class Lines {
 public:
  explicit Lines(std::size_t most) : most_(most) {}
  void tell(const std::string& line) {
    if (++told_ <= most_) fmt::print("{}\n", line);
  }
  void close() const {
    if (told_ > most_) fmt::print("… and {} lines more (--lines={} shows all)\n", told_ - most_, told_);
  }

 private:
  std::size_t most_, told_ = 0;
};

class Names {
 public:
  void learn(const Input& input) {
    for (const auto& o : input.tasks) names_.insert_or_assign(o.facts.id, o.facts.name);
  }
  std::string of(CgroupId id) const {
    const auto found = names_.find(id);
    return found != names_.end() ? publish::c_escape(found->second) : fmt::format("cgroup {}", id.value);
  }

 private:
  std::map<CgroupId, std::string> names_;
};

const Write* same_write(const Plan& plan, const Write& w) {
  for (const auto& other : plan.writes)
    if (other.id == w.id && other.knob == w.knob && other.value == w.value) return &other;
  return nullptr;
}

void tell_difference(const Plan& recorded, const Plan& replayed, bool exact, double seconds,
                     const Names& names, Lines& lines) {
  const auto tell = [&](char sign, const Write& w, const Plan& other) {
    const Write* twin = same_write(other, w);
    if (twin != nullptr && (!exact || *twin == w)) return;
    lines.tell(fmt::format("{} {:>10.3f} s  {}  {}", sign, seconds, names.of(w.id), publish::sentence(w)));
  };
  for (const auto& w : recorded.writes) tell('-', w, replayed);
  for (const auto& w : replayed.writes) tell('+', w, recorded);
}

void print_summary(const record::WhatIf& what_if) {
  fmt::print("\n{:<24} {:>9} {:>17} {:>17} {:>13} {:>10}\n", "task", "used", "granted cores", "memory.high",
             "writes", "short of");
  fmt::print("{:<24} {:>9} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6} {:>10}\n", "", "cores", "then", "now", "then",
             "now", "then", "now", "CPU-s");
  const auto mib = [](double byte_seconds, double seconds) {
    return fmt::format("{:.0f}M", byte_seconds / seconds / (1 << 20));
  };
  for (const auto& [id, t] : what_if.tasks()) {
    const std::string name = publish::c_escape(t.name);
    if (!t.governed) {
      fmt::print("{:<24} would not be governed\n", name);
      continue;
    }
    if (!(t.seconds > 0)) continue;
    fmt::print("{:<24} {:>9.3f} {:>8.3f} {:>8.3f} {:>8} {:>8} {:>6} {:>6} {:>8.1f} s\n", name,
               t.used_core_seconds / t.seconds, t.recorded.core_seconds / t.seconds,
               t.replayed.core_seconds / t.seconds, mib(t.recorded.byte_seconds, t.seconds),
               mib(t.replayed.byte_seconds, t.seconds), t.recorded.writes, t.replayed.writes,
               t.short_core_seconds);
  }
  fmt::print(
      "\nThe load is the recorded one and does not answer to other limits: 'short of' is the CPU time that "
      "the "
      "task\nused above what it would have been granted.\n");
}

int replay(const Options& o) {
  std::optional<record::WhatIf> what_if;
  if (!o.config_file.empty()) {
    auto config = config::load_file(o.config_file);
    if (!config) {
      for (const auto& p : config.error()) process::complain(config::describe(p) + "\n");
      return kBadUsage;
    }
    const auto match = [c = *config](const TaskFacts& f) { return first_match(c, f.cgroup); };
    what_if.emplace(std::move(*config), match);
  }
  auto reader = record::Reader::open(o.file);
  if (!reader) {
    process::complain(record::describe(reader.error()) + "\n");
    return kBadUsage;
  }
  record::Replay replay;
  Names names;
  Lines lines(o.lines);
  std::uint64_t ticks = 0, writes = 0, different = 0;
  std::optional<MonotonicTime> first, last;
  std::optional<record::Problem> problem;
  for (;;) {
    auto next = reader->next();
    if (!next) problem = next.error();
    if (!next || !*next) break;
    const Entry& entry = **next;
    const auto* tick = std::get_if<TickEntry>(&entry);
    if (tick == nullptr) {
      if (what_if && first) what_if->reloaded();
      (void)replay.take(entry);
      continue;
    }
    ++ticks;
    writes += tick->plan.writes.size();
    if (!first) first = tick->input.now;
    last = tick->input.now;
    const double seconds = in_seconds(*last - *first);
    names.learn(tick->input);
    std::optional<Plan> other;
    if (what_if) other = what_if->take(*tick, replay.state());
    const auto plan = replay.take(entry);
    const bool is_same = record::same(*plan, tick->plan);
    different += is_same ? 0 : 1;
    if (other) {
      tell_difference(tick->plan, *other, false, seconds, names, lines);
    } else if (!is_same) {
      tell_difference(tick->plan, *plan, true, seconds, names, lines);
    }
  }
  lines.close();
  if (what_if) print_summary(*what_if);

  const auto& header = reader->header();
  const double length = first ? in_seconds(*last - *first) : 0;
  fmt::print("{}{}: {} tick(s) over {:.1f} s, {} write(s), recorded by sluiced {}{}.\n", what_if ? "\n" : "",
             o.file, ticks, length, writes, publish::c_escape(header.daemon_version),
             reader->end() ? fmt::format("; it ended: {}", publish::c_escape(*reader->end()))
             : problem     ? ""
                           : "; it has no end: the daemon was killed, or still records");
  if (different == 0) {
    fmt::print("Every plan is the same again, byte for byte.\n");
  } else {
    fmt::print(
        "{} plan(s) differ from what was recorded under the same configuration: sluice-replay {} decides "
        "otherwise than the daemon that recorded.\n",
        different, kVersion);
  }
  if (problem) process::complain(record::describe(*problem) + "\n");
  return problem ? kPartial : different == 0 ? kSame : kDifferent;
}

// What was printed and did not arrive is no answer.
int printed(int status) {
  if (process::output_arrived()) return status;
  process::complain("sluice-replay: standard output cannot be written\n");
  return kBadUsage;
}

}  // namespace

int main(int argc, char** argv) {
  process::open_closed_streams();
  Options o;
  CLI::App app{
      "sluice-replay: feeds a recording to the same decisions again, and says what another configuration "
      "would "
      "have done.\nExit status: 0 the same, 1 different, 2 bad usage, configuration or file, 3 the file is "
      "damaged from some place on",
      "sluice-replay"};
  app.set_version_flag("--version", std::string("sluice-replay ") + kVersion);
  app.add_option("FILE", o.file, "Made by sluiced --record")->required();
  app.add_option("--config", o.config_file, "A TOML file: what would it have done?");
  app.add_option("--lines", o.lines, "The most differences that are listed")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return printed(app.exit(e) == 0 ? kSame : kBadUsage);
  }
  try {
    return printed(replay(o));
  } catch (const std::system_error&) {  // {fmt} could not print
    return printed(kBadUsage);
  }
}
