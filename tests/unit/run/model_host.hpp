// A host in memory with faults: cgroups that appear and vanish, external writers, writes that are slow,
// refused or never answered, incomplete walks. It knows the truth: who wrote each value, and which values the
// engine could have seen.
#pragma once

#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/run/engine.hpp"
#include "tests/support/fake_files.hpp"

namespace sluice::testing {

class ModelHost final : public Host {
 public:
  struct Knob_ {
    bool exists = true, ours = false;  // ours: our value is in force
    KnobValue value, expected;         // expected: the last external value that could be seen
    std::vector<KnobValue> external;   // all external values so far
  };
  struct Group {
    std::string path;
    std::map<Knob, Knob_> knobs;
    CpuUsage usage;
    CpuBandwidth bandwidth;
    PressureTotals memory_pressure;
    MonotonicTime weight_at{};  // when cpu.weight was last shown
  };
  struct Pending {
    Write order;
    bool landed = false, refused = false, overdue = false;
  };

  // ---- the seam
  std::uint64_t tree_stamp() const override { return stamp; }
  cgroups::Result<cgroups::Walk> walk() override {
    ++walks;
    if (walk_fails) return tl::unexpected(cgroups::Error{EMFILE, "/", "open"});
    cgroups::Walk walk;
    for (const auto& [id, g] : groups) {
      if (hidden != g.path) walk.cgroups.push_back({g.path, id});
    }
    if (!hidden.empty()) walk.problems.push_back({EMFILE, hidden, "open"});
    if (ghost) walk.cgroups.push_back(*ghost);
    return walk;
  }
  cgroups::Result<void> open(CgroupId id, const std::string& path) override {
    ++opens;
    if (open_fails) return tl::unexpected(cgroups::Error{EMFILE, path, "open"});
    const auto found = groups.find(id);
    if (found == groups.end() || found->second.path != path)
      return tl::unexpected(cgroups::Error{ENOENT, path, "open"});
    opened.insert(id);
    return {};
  }
  bool alive(CgroupId id) override { return groups.contains(id); }
  void close(CgroupId id) override { opened.erase(id); }
  std::vector<std::optional<Sample>> sample(std::span<const CgroupId> ids) override {
    std::vector<std::optional<Sample>> out;
    for (const auto id : ids) out.push_back(sample_of(id));
    return out;
  }
  void submit(std::vector<Write> orders) override {
    for (auto& w : orders) pending.push_back({std::move(w)});
  }
  std::vector<Receipt> receipts() override { return std::exchange(answers, {}); }

  // ---- events
  KnobValue external_value(Knob knob) {
    ++counter;
    if (knob == Knob::cpu_weight) return CpuWeight{static_cast<std::uint32_t>(1'000 + counter % 9'000)};
    if (knob == Knob::memory_high) return MemoryLimit{(Bytes{900} << 20) + counter * (Bytes{4} << 20)};
    return CpuMax{Usec{static_cast<std::int64_t>(1'000'000 + counter)}, Usec{100'000}, Usec{0}};
  }
  void add(const std::string& path) {
    for (const auto& [id, g] : groups) {
      if (g.path == path) return;
    }
    Group g;
    g.path = path;
    for (const Knob knob : kKnobs) {
      auto& k = g.knobs[knob];
      write_external(k, knob);
      k.expected = k.value;
    }
    groups.emplace(CgroupId{++next_id}, std::move(g));
  }
  void write_external(Knob_& k, Knob knob) {
    k.value = external_value(knob);
    k.external.push_back(k.value);
    k.ours = false;
  }
  // Returns what is wrong; empty: nothing.
  std::string land(Pending& p) {
    if (p.landed || p.refused) return {};
    auto* k = knob_of(p.order.id, p.order.knob);
    if (k == nullptr || !k->exists) {
      p.refused = true;
      return {};
    }
    p.landed = true;
    k->value = p.order.value;
    k->ours = p.order.reason.rule != Rule::released;
    return k->ours && !on_file(p.order) ? "a write without an entry in the lease" : "";
  }
  void answer(std::size_t i) {
    auto& p = pending[i];
    if (!p.landed && !p.refused) return;
    Receipt r = receipt_for(p.order);
    auto* k = knob_of(p.order.id, p.order.knob);
    if (k == nullptr) {
      r.result = Receipt::Result::vanished;
      r.error_number = ENODEV;
    } else {
      if (k->exists) {
        r.holds = k->value;
        if (!k->ours) k->expected = k->value;
      }
      r.result = !p.landed                  ? Receipt::Result::refused
                 : r.holds == p.order.value ? Receipt::Result::written
                                            : Receipt::Result::differs;
      r.error_number = p.landed ? 0 : EACCES;
      if (r.result == Receipt::Result::written) r.written_at = now;
    }
    answers.push_back(std::move(r));
    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
  }
  void answer_overdue(Pending& p) {
    if (std::exchange(p.overdue, true)) return;
    auto r = receipt_for(p.order);
    r.result = Receipt::Result::timed_out;
    r.may_land = true;
    r.error_number = ETIMEDOUT;
    answers.push_back(std::move(r));
  }
  Knob_* knob_of(CgroupId id, Knob knob) {
    const auto found = groups.find(id);
    return found == groups.end() ? nullptr : &found->second.knobs.at(knob);
  }
  bool on_file(const Write& order) const {
    const auto text =
        actuate::parse_lease(files->content(std::string(kDirectory) + "/lease").value_or(""), kBoot);
    for (const auto& e : text.entries) {
      if (e.id == order.id && e.knob == order.knob)
        return std::find(e.ours.begin(), e.ours.end(), order.value) != e.ours.end();
    }
    return false;
  }

  static constexpr const char* kDirectory = "/run/sluice";
  static constexpr const char* kBoot = "boot-1";
  std::map<CgroupId, Group> groups;
  std::set<CgroupId> opened;
  std::vector<Pending> pending;
  std::vector<Receipt> answers;
  std::string hidden;
  std::optional<cgroups::Found> ghost;  // listed by the walk, gone when it is opened
  std::uint64_t stamp = 0;              // of the tree
  std::size_t walks = 0, opens = 0;
  bool walk_fails = false, open_fails = false, samples_fail = false;
  MonotonicTime now{std::chrono::seconds(1000)};
  std::uint64_t next_id = 100, counter = 0;
  test::FakeFiles* files = nullptr;

 private:
  Receipt receipt_for(const Write& w) const {
    Receipt r;
    r.id = w.id;
    r.knob = w.knob;
    r.asked = w.value;
    r.caused_at = w.caused_at;
    r.started_at = r.finished_at = now;
    return r;
  }
  std::optional<Sample> sample_of(CgroupId id) {
    const auto found = groups.find(id);
    if (found == groups.end() || !opened.contains(id) || samples_fail) return std::nullopt;
    auto& g = found->second;
    Sample s;
    s.id = id;
    s.read_at = now;
    s.cpu = g.usage;
    s.bandwidth = g.bandwidth;
    s.cpu_pressure = PressureTotals{};
    s.memory_pressure = g.memory_pressure;
    s.memory_current = Bytes{300} << 20;
    s.memory_stat =
        MemoryStat{.anon = Bytes{50} << 20, .file = Bytes{240} << 20, .unreclaimable = Bytes{2} << 20};
    s.memory_events = MemoryEvents{};
    auto& cpu = g.knobs.at(Knob::cpu_max);
    auto& memory = g.knobs.at(Knob::memory_high);
    auto& weight = g.knobs.at(Knob::cpu_weight);
    // About once a second; each value then counts as seen.
    const bool shows_weight = g.weight_at == MonotonicTime{} || now >= g.weight_at + std::chrono::seconds(1);
    if (shows_weight) {
      g.weight_at = now;
      if (weight.exists) s.cpu_weight = std::get<CpuWeight>(weight.value);
      if (weight.exists && !weight.ours) weight.expected = weight.value;
      s.cpu_weight_absent = !weight.exists;
    }
    for (auto* k : {&cpu, &memory}) {
      if (k->exists && !k->ours) k->expected = k->value;
    }
    if (cpu.exists) s.cpu_max = std::get<CpuMax>(cpu.value);
    if (memory.exists) s.memory_high = std::get<MemoryLimit>(memory.value);
    s.cpu_max_absent = !cpu.exists;
    s.memory_high_absent = !memory.exists;
    return s;
  }
};

}  // namespace sluice::testing
