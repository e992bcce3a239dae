// The engine on the host in memory: random steps, each followed by a check; at the end everything must be
// restored. Processes are killed and files cannot be written; the next process knows only what the files
// contain.
#pragma once

#include <cerrno>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/run/engine.hpp"
#include "tests/unit/run/engine_op.hpp"
#include "tests/unit/run/model_host.hpp"

namespace sluice::testing {

class EngineModel {
 public:
  using Op = EngineOp;

  EngineModel() {
    host.files = &files;
    for (const char* path : kPaths) host.add(path);
    start();
  }

  std::string apply(Op op, unsigned dice) {
    host.now += std::chrono::milliseconds(50 + 50 * (dice % 4));
    const auto which = dice / 4;
    switch (op) {
      case Op::full_tick:
      case Op::full_tick_again:
        full_tick();
        break;
      case Op::look_then_event:
        engine->look(host.now);
        host.now += std::chrono::milliseconds(1);
        event_tick(which);
        host.now += std::chrono::milliseconds(1);
        engine->full_tick(moment());
        break;
      case Op::event_tick:
        event_tick(which);
        break;
      case Op::land:
      case Op::land_last:
        if (auto* p = pick(op == Op::land ? which : 0)) {
          if (auto wrong = host.land(*p); !wrong.empty()) return wrong;
        }
        break;
      case Op::refuse:
        if (auto* p = pick(which); p && !p->landed) p->refused = true;
        break;
      case Op::overdue:
        if (auto* p = pick(which)) host.answer_overdue(*p);
        break;
      case Op::answer:
      case Op::answer_last:
        if (auto* p = pick(op == Op::answer ? which : 0))
          host.answer(static_cast<std::size_t>(p - host.pending.data()));
        break;
      case Op::external_cpu:
        change_knob(which, Knob::cpu_max);
        break;
      case Op::external_memory:
        change_knob(which, Knob::memory_high);
        break;
      case Op::external_weight:
        change_knob(which, Knob::cpu_weight);
        break;
      case Op::node_changes:
        cpus_ = which % 2 == 0 ? 2 : 8;
        break;
      case Op::vanish:
        if (auto* g = group(which)) remove(*g);
        break;
      case Op::come_back:
        host.add(kPaths[which % 3]);
        break;
      case Op::knob_off:
      case Op::knob_on:
        switch_knob(which, op == Op::knob_on);
        break;
      case Op::walk_in_part:
        host.hidden = host.hidden.empty() ? kPaths[which % 3] : "";
        break;
      case Op::walk_fails:
        host.walk_fails = !host.walk_fails;
        break;
      case Op::open_fails:
        host.open_fails = !host.open_fails;
        break;
      case Op::samples_fail:
        host.samples_fail = !host.samples_fail;
        break;
      case Op::files_fail:
        toggle_files(which);
        break;
      case Op::reload:
        engine->reload(config(which));
        full_tick();
        break;
      case Op::kill:
        kill();
        break;
      case Op::stop_and_start:
        if (auto wrong = stop(); !wrong.empty()) return wrong;
        start();
        break;
      default:
        command(op, which);
        break;
    }
    engine->take_reports();
    engine->take_sentences();
    return check();
  }

  // Ends all faults; then everything must be restored.
  std::string finish() {
    if (auto wrong = stop(); !wrong.empty()) return wrong;
    return {};
  }

  // A tick without faults: every order is carried out and answered at once.
  void tick_in_peace() {
    host.now += std::chrono::milliseconds(100);
    full_tick();
    for (auto& p : host.pending) (void)host.land(p);
    while (!host.pending.empty()) host.answer(0);
  }
  std::vector<LeaseEntry> on_file() const {
    return actuate::parse_lease(files.content(std::string(ModelHost::kDirectory) + "/lease").value_or(""),
                                ModelHost::kBoot)
        .entries;
  }
  const ModelHost::Group* find(std::string_view path) const {
    for (const auto& [id, g] : host.groups) {
      if (g.path == path) return &g;
    }
    return nullptr;
  }

  test::FakeFiles files;
  ModelHost host;
  std::unique_ptr<Engine> engine;

 private:
  static constexpr const char* kPaths[] = {"/system.slice/a.service", "/system.slice/b.service",
                                           "/other.slice/b.service"};

 public:
  static config::Config config(unsigned which) {
    config::Config c;
    c.node.cpu_reserve_cores = 0;
    c.node.memory_reserve_bytes = 0;
    c.node.discovery = std::chrono::milliseconds(100);
    if (which % 4 == 1) c.node.on_foreign_write = config::OnForeignWrite::override_it;
    for (const char* unit : {"a.service", "b.service"}) {
      if (which % 3 == 2 && unit[0] == 'b') continue;  // this one leaves the configuration
      config::Task t;
      t.match_unit = unit;
      t.policy.max_delay = std::chrono::milliseconds(100);
      t.policy.priority = unit[0] == 'b' ? 10 : 0;
      t.policy.cpu.initial_cores = 1.5;
      t.policy.cpu.enabled = which % 5 != 3;
      t.policy.memory.enabled = which % 7 != 4;
      t.policy.memory.min_bytes = Bytes{16} << 20;
      t.policy.memory.interval = std::chrono::milliseconds(500);
      c.tasks.push_back(t);
    }
    return c;
  }

 private:
  Engine::Moment moment() const { return {host.now, {}, {cpus_, Bytes{16} << 30}}; }
  void start() {
    auto lease = actuate::Lease::open(files, ModelHost::kDirectory, ModelHost::kBoot);
    auto holds = record::HoldStore::open(files, ModelHost::kDirectory, ModelHost::kBoot);
    engine =
        std::make_unique<Engine>(host, Engine::Parts{std::move(*lease), std::move(*holds), config(0), {}});
  }
  void load_host() {
    for (auto& [id, g] : host.groups) {
      g.usage.usage += Usec{120'000};
      g.bandwidth.nr_periods += 1;
      g.bandwidth.nr_throttled += 1;
      g.bandwidth.throttled += Usec{100'000};
    }
  }
  void full_tick() {
    load_host();
    engine->look(host.now);
    engine->full_tick(moment());
  }
  void event_tick(unsigned which) {
    std::vector<ThrottleEvent> events;
    if (const auto* g = group(which)) events.push_back({*g, host.now});
    engine->event_tick(moment(), std::move(events));
  }
  const CgroupId* group(unsigned which) const {
    if (host.groups.empty()) return nullptr;
    auto at = host.groups.begin();
    std::advance(at, which % host.groups.size());
    return &at->first;
  }
  ModelHost::Pending* pick(unsigned which) {
    return host.pending.empty() ? nullptr : &host.pending[which % host.pending.size()];
  }
  void change_knob(unsigned which, Knob knob) {
    if (const auto* id = group(which)) {
      if (auto& k = *host.knob_of(*id, knob); k.exists) host.write_external(k, knob);
    }
  }
  void switch_knob(unsigned which, bool on) {
    const auto* id = group(which);
    if (id == nullptr) return;
    if (which % 2 != 0) return switch_file(*id, Knob::memory_high, on);
    switch_file(*id, Knob::cpu_max, on);  // both files exist only with their controller
    switch_file(*id, Knob::cpu_weight, on);
  }
  void switch_file(CgroupId id, Knob knob, bool on) {
    auto& k = *host.knob_of(id, knob);
    if (k.exists == on) return;
    for (auto& p : host.pending) {  // the old file accepts nothing any more
      if (p.order.id == id && p.order.knob == knob && !p.landed) p.refused = true;
    }
    k.exists = on;
    k.ours = false;
    if (on) host.write_external(k, knob);  // the kernel's own default counts as an external value
  }
  void remove(CgroupId id) { host.groups.erase(id); }
  void toggle_files(unsigned which) {
    if (std::exchange(files_fail_, !files_fail_)) {
      files.clear_faults();
    } else {
      constexpr int kErrors[] = {ENOSPC, EROFS, EIO};
      files.fail_every(test::FakeFiles::Step::write, kErrors[which % 3]);
    }
  }
  void command(Op op, unsigned which) {
    const std::string name = which % 2 == 0 ? "a" : "b";
    switch (op) {
      case Op::pin: {
        PinCommand c;
        c.task = name;
        c.cpu_cores = 0.5 + 0.001 * (++pins_);
        c.memory_high = (Bytes{400} << 20) + Bytes{4096} * pins_;
        return (void)engine->submit(c);
      }
      case Op::unpin:
        return (void)engine->submit(UnpinCommand{name});
      case Op::suspend:
        return (void)engine->submit(SuspendCommand{name, "test"});
      case Op::resume:
        return (void)engine->submit(ResumeCommand{name});
      case Op::suspend_node:
        return (void)engine->submit(SuspendCommand{"", "test"});
      case Op::resume_node:
        return (void)engine->submit(ResumeCommand{""});
      case Op::set_mode: {
        constexpr config::Mode kModes[] = {config::Mode::enforce, config::Mode::enforce,
                                           config::Mode::dry_run, config::Mode::observe};
        return (void)engine->submit(SetModeCommand{kModes[which % 4]});
      }
      default:
        return;
    }
  }
  // Its threads end with it: orders in flight landed before, or never.
  void kill() {
    engine.reset();
    host.pending.clear();
    host.answers.clear();
    host.opened.clear();
    files.crash_process();
    if (files_fail_) toggle_files(0);
    start();
  }
  void clear_faults() {
    host.hidden.clear();
    host.walk_fails = host.open_fails = host.samples_fail = false;
    if (files_fail_) toggle_files(0);
  }
  std::string stop() {
    clear_faults();
    engine->stop();
    for (int i = 0; i < 40 && !(i > 2 && engine->all_given_back()); ++i) {
      host.now += std::chrono::seconds(2);
      full_tick();
      for (auto& p : host.pending) {
        p.refused = false;
        if (auto wrong = host.land(p); !wrong.empty()) return wrong;
      }
      while (!host.pending.empty()) host.answer(0);
      engine->event_tick(moment(), {});
      engine->take_reports();
      if (auto wrong = check(); !wrong.empty()) return wrong;
    }
    if (!engine->all_given_back()) return "not everything was given back in 80 s";
    if (!engine->left().empty()) return "something is left to give back";
    if (!on_file().empty()) return "the lease speaks of a limit that has nothing of ours";
    if (auto closed = engine->close(); !closed) return "the lease could not be removed";
    if (files.content(std::string(ModelHost::kDirectory) + "/lease")) return "the lease is left";
    for (const auto& [id, g] : host.groups) {
      for (const auto& [knob, k] : g.knobs) {
        if (k.exists && k.ours) return g.path + " still holds a value of ours";
        // A value that no reading has shown may have been overwritten. A knob that we never wrote must be
        // unchanged.
        if (k.exists && !(k.value == k.expected) && !(k.value == k.external.back()))
          return g.path + " does not hold what was chosen last";
      }
    }
    engine.reset();
    host.opened.clear();
    host.answers.clear();
    return {};
  }
  // Called after every step.
  std::string check() const {
    const auto leased = on_file();
    std::map<LeaseKey, const LeaseEntry*> entries;
    for (const auto& e : leased) entries[{e.id, e.knob}] = &e;
    for (const auto& [id, g] : host.groups) {
      for (const auto& [knob, k] : g.knobs) {
        const auto found = entries.find({id, knob});
        const auto* entry = found == entries.end() ? nullptr : found->second;
        if (entry && std::find(k.external.begin(), k.external.end(), entry->baseline) == k.external.end())
          return g.path + ": a baseline that no external writer chose";
        if (!k.exists || !k.ours) continue;
        if (entry == nullptr) return g.path + ": our value is in force, and the lease does not say so";
        if (std::find(entry->ours.begin(), entry->ours.end(), k.value) == entry->ours.end())
          return g.path + ": our value is in force, and the lease would take it for an external writer's";
      }
    }
    return {};
  }

  bool files_fail_ = false;
  unsigned pins_ = 0;
  double cpus_ = 8;
};

}  // namespace sluice::testing
