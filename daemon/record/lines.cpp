#include "daemon/record/lines.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::record {
namespace {

constexpr std::string_view kMagic = "sluice-recording";
constexpr std::size_t kSumDigits = 8;

// FNV-1a: detects damage, not manipulation.
std::string checksum(std::string_view bytes) {
  std::uint32_t sum = 2166136261U;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619U;
  std::string digits(kSumDigits, '0');
  for (std::size_t i = 0; i < kSumDigits; ++i)
    digits[kSumDigits - 1 - i] = "0123456789abcdef"[sum >> (4 * i) & 15];
  return digits;
}

// Forgets tasks that a full tick does not list. Writer and reader do so at the same line.
void forget_absent(std::map<CgroupId, Known>& known, const Input& input) {
  if (input.kind != Input::Kind::full || known.size() == input.tasks.size()) return;
  std::map<CgroupId, Known> kept;
  for (const auto& o : input.tasks) {
    if (auto node = known.extract(o.facts.id); !node.empty()) kept.insert(std::move(node));
  }
  known = std::move(kept);
}

bool consistent(Knob knob, const KnobValue& value) {
  if (knob != knob_of(value)) return false;
  if (const auto* weight = std::get_if<CpuWeight>(&value))
    return weight->weight >= kCpuWeightMin && weight->weight <= kCpuWeightMax;
  const auto* cpu = std::get_if<CpuMax>(&value);
  return cpu == nullptr || (cpu->period >= kCpuPeriodMin && cpu->period <= kCpuPeriodMax);
}

// Checks properties that the sampler and the actuator guarantee to the tick. Returns what is wrong; empty:
// nothing.
std::string nonsense_in(const TickEntry& entry, std::size_t config_tasks) {
  const auto bad_period = [](const CpuMax& v) { return !consistent(Knob::cpu_max, KnobValue{v}); };
  for (const auto& o : entry.input.tasks) {
    if (o.facts.config_index && *o.facts.config_index >= config_tasks)
      return "a task of a rule that the configuration does not have";
    if (o.sample && o.sample->cpu_max && bad_period(*o.sample->cpu_max))
      return "a CFS period that no kernel takes";
  }
  for (const auto& r : entry.input.receipts) {
    if (!consistent(r.knob, r.asked) || (r.holds && !consistent(r.knob, *r.holds)))
      return "a receipt with another knob's value";
  }
  for (const auto& w : entry.plan.writes) {
    if (!consistent(w.knob, w.value)) return "a write with another knob's value";
  }
  for (const auto& l : entry.input.inherited) {
    const auto fits = [&](const KnobValue& v) { return consistent(l.knob, v); };
    if (l.ours.empty() || !fits(l.baseline) || !std::all_of(l.ours.begin(), l.ours.end(), fits))
      return "an inherited limit with another knob's value, or with none of ours";
  }
  return {};
}

}  // namespace

std::string plan_bytes(const Plan& plan) {
  std::string bytes;
  Encoder out(bytes);
  out(plan);
  return bytes;
}

std::string sealed(std::string line) {
  const std::string sum = checksum(line);
  return std::move(line) + " #" + sum + "\n";
}

// ---- writing --------------------------------------------------------------------------------------------

std::string LineWriter::finish(std::string line) {
  ++number_;
  return sealed(std::move(line));
}

std::string LineWriter::header(const Header& header) {
  std::string line(kMagic);
  Encoder out(line);
  out(header.version, header.daemon_version, header.real_usec, header.monotonic);
  return finish(std::move(line));
}

std::string LineWriter::line(const ConfigEntry& entry) {
  std::string line = "config";
  Encoder out(line);
  out(number_, entry.config);
  return finish(std::move(line));
}

std::string LineWriter::line(const TickEntry& entry) {
  std::string line = "tick";
  Encoder out(line);
  // Lists all fields of an input: a new field does not compile until it is added here.
  const auto& [kind, now, wall, node, observations, events, receipts, commands, stopping, profiles, inherited,
               holds] = entry.input;
  out(number_, kind, now, wall, node, events, receipts, commands, stopping, profiles, inherited, holds);
  tasks(line, observations);
  out(entry.plan);
  forget_absent(known_, entry.input);
  return finish(std::move(line));
}

void LineWriter::tasks(std::string& line, const std::vector<Observation>& tasks) {
  Encoder out(line);
  out(tasks.size());
  for (const auto& o : tasks) {
    Known& known = known_[o.facts.id];
    std::string facts;
    Encoder{facts}(o.facts);
    const bool same = facts == known.facts;
    out(o.facts.id, same, o.sample.has_value());
    if (!same) {
      line += facts;
      known.facts = std::move(facts);
    }
    if (!o.sample) continue;
    out.against(known.base);
    out(*o.sample);
    out.done();
  }
}

std::string LineWriter::line(const EndEntry& entry) {
  std::string line = "end";
  Encoder out(line);
  out(number_, entry.reason);
  return finish(std::move(line));
}

// ---- reading --------------------------------------------------------------------------------------------

tl::expected<std::string_view, std::string> unsealed(std::string_view line) {
  if (line.size() < kSumDigits + 2 || line.substr(line.size() - kSumDigits - 2, 2) != " #")
    return tl::unexpected<std::string>("no checksum at the end of the line");
  const auto body = line.substr(0, line.size() - kSumDigits - 2);
  if (checksum(body) != line.substr(line.size() - kSumDigits))
    return tl::unexpected<std::string>("the line's checksum does not fit its content");
  return body;
}

tl::expected<Header, std::string> LineReader::header(std::string_view line) {
  if (!line.starts_with(std::string(kMagic) + " "))
    return tl::unexpected<std::string>("this is no recording of Sluice");
  const auto content = unsealed(line);
  if (!content) return tl::unexpected(content.error());
  Decoder in(content->substr(kMagic.size()));
  Header h;
  in(h.version);
  if (in.good() && h.version != kFormatVersion) return h;  // other versions may continue differently
  in(h.daemon_version, h.real_usec, h.monotonic);
  if (!in.good()) return tl::unexpected(in.what());
  number_ = 1;
  return h;
}

tl::expected<Entry, std::string> LineReader::entry(std::string_view line) {
  const auto content = unsealed(line);
  if (!content) return tl::unexpected(content.error());
  const std::size_t space = std::min(content->find(' '), content->size());
  const auto kind = content->substr(0, space);
  Decoder in(content->substr(space));
  std::uint64_t number = 0;
  in(number);
  if (in.good() && number != number_)
    in.fail("line number " + std::to_string(number) + " where " + std::to_string(number_) +
            " belongs: lines are missing");
  ++number_;

  Entry entry;
  if (kind == "config") {
    auto& config = entry.emplace<ConfigEntry>().config;
    in(config);
    config_tasks_ = config.tasks.size();
    config_seen_ = true;
  } else if (kind == "tick") {
    auto& tick = entry.emplace<TickEntry>();
    Input& input = tick.input;
    in(input.kind, input.now, input.wall, input.node, input.events, input.receipts, input.commands,
       input.stopping, input.profiles, input.inherited, input.holds);
    tasks(in, input);
    in(tick.plan);
    if (in.good() && !config_seen_) in.fail("a tick before any configuration");
    if (const auto nonsense = in.good() ? nonsense_in(tick, config_tasks_) : std::string(); !nonsense.empty())
      in.fail(nonsense);
    forget_absent(known_, input);
  } else if (kind == "end") {
    in(entry.emplace<EndEntry>().reason);
  } else {
    in.fail("a line of an unknown kind, '" + std::string(kind.substr(0, 40)) + "'");
  }
  if (in.good() && !in.at_end()) in.fail("more on the line than belongs there");
  if (!in.good()) return tl::unexpected(in.what());
  return entry;
}

void LineReader::tasks(Decoder& in, Input& input) {
  std::size_t count = 0;
  in(count);
  for (std::size_t i = 0; i < count && in.good(); ++i) {
    CgroupId id;
    bool same = false, sampled = false;
    in(id, same, sampled);
    Known& known = known_[id];
    Observation o;
    if (!same) {
      in(o.facts);
      known.facts.clear();
      Encoder{known.facts}(o.facts);
    } else if (known.facts.empty()) {
      in.fail("a task that no earlier line describes");
    } else {
      Decoder(known.facts)(o.facts);
    }
    if (in.good() && o.facts.id != id) in.fail("a task with two ids");
    if (sampled && in.good()) {
      in.against(known.base);
      in(o.sample.emplace());
      in.done();
    }
    if (in.good()) input.tasks.push_back(std::move(o));
  }
}

}  // namespace sluice::record
