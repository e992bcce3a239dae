#include "daemon/actuate/restore.hpp"

#include <cerrno>
#include <chrono>
#include <map>
#include <utility>

#include "cgroups/escape.hpp"
#include "cgroups/parse.hpp"

namespace sluice::actuate {
namespace {

// A baseline is what the kernel once held, so it is written even where the governor would not dare.
class BaselineWriter final : public KnobWriter {
 public:
  Receipt apply(const Order& order) override { return write_and_verify(order); }
};

std::string failure(const LeaseEntry& entry, const Receipt& receipt) {
  const auto baseline = "'" + cgroups::format(entry.baseline) + "'";
  const auto holds =
      receipt.holds ? "'" + cgroups::format(*receipt.holds) + "'" : std::string("an unknown value");
  switch (receipt.result) {
    case Receipt::Result::timed_out:
      return "giving back " + baseline + " blocked until its deadline; it holds " + holds + ": " +
             cgroups::escape(receipt.path);
    case Receipt::Result::differs:
      return baseline + " was written, but " + holds + " was read back: " + cgroups::escape(receipt.path);
    default:
      return cgroups::describe({receipt.error_number, receipt.path, "give back " + baseline + " to"});
  }
}

Restored outcome(const LeaseEntry& entry, const Receipt& receipt) {
  Restored restored{.entry = entry, .result = Restored::Result::restored, .message = {}};
  // Interrupted or not: what counts is that the knob holds its baseline.
  const bool holds_it = receipt.holds && cgroups::holds_as_asked(entry.baseline, *receipt.holds);
  if (receipt.result == Receipt::Result::vanished) {
    restored.result = Restored::Result::vanished;
  } else if (!holds_it) {
    restored.result = Restored::Result::failed;
    restored.message = failure(entry, receipt);
  }
  return restored;
}

// Without a write when there is no cgroup to write to, or no need.
std::optional<Restored> settled(const LeaseEntry& entry, const cgroups::Result<cgroups::CgroupRef>& cgroup) {
  Restored restored{.entry = entry, .result = Restored::Result::vanished, .message = {}};
  if (!cgroup) {
    if (cgroups::means_vanished(cgroup.error())) return restored;
    restored.result = Restored::Result::failed;
    restored.message = cgroups::describe(cgroup.error());
    return restored;
  }
  if ((*cgroup)->id() != entry.id) return restored;
  // A needless cpu.max write refills the period's quota, a needless memory.high may reclaim.
  if (const auto held = (*cgroup)->read(entry.knob); held && cgroups::holds_as_asked(entry.baseline, *held)) {
    restored.result = Restored::Result::unchanged;
    return restored;
  }
  return std::nullopt;
}

}  // namespace

std::vector<Restored> restore(const cgroups::Root& root, std::span<const LeaseEntry> entries,
                              const ActuatorOptions& options) {
  std::vector<Restored> results(entries.size());
  Actuator actuator(std::make_shared<BaselineWriter>(), options);
  for (const auto knob : {Knob::cpu_max, Knob::memory_high}) {
    std::map<CgroupId, std::size_t> under_way;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto& entry = entries[i];
      if (entry.knob != knob) continue;
      const auto cgroup = cgroups::Cgroup::open(root, entry.path);
      if (auto done = settled(entry, cgroup)) {
        results[i] = std::move(*done);
        continue;
      }
      under_way[entry.id] = i;
      actuator.submit(
          {.write = {.id = entry.id, .knob = knob, .value = entry.baseline, .reason = {}, .caused_at = {}},
           .cgroup = *cgroup});
    }
    // Ends: every write has a deadline and a thread that others do not wait for.
    while (!actuator.wait_idle(std::chrono::seconds(1))) {
    }
    for (const auto& receipt : actuator.drain()) {
      const auto i = under_way.at(receipt.id);
      results[i] = outcome(entries[i], receipt);
    }
  }
  return results;
}

}  // namespace sluice::actuate
