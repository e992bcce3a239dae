#include "daemon/run/release.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>

#include "cgroups/escape.hpp"
#include "cgroups/parse.hpp"
#include "daemon/process/clock.hpp"
#include "daemon/publish/journal/journal.hpp"
#include "daemon/run/loop.hpp"

namespace sluice {
namespace {

// As somebody would write it there by hand.
std::string baseline_words(const KnobValue& value) {
  const auto* cpu = std::get_if<CpuMax>(&value);
  if (!cpu) return "'" + cgroups::format(value) + "'";
  auto words = "'" + cgroups::format(*cpu) + "'";
  if (cpu->burst && *cpu->burst > Usec{0})
    words += ", cpu.max.burst '" + std::to_string(cpu->burst->count()) + "',";
  return words;
}

}  // namespace

bool report_release(Engine& engine) {
  const auto left = engine.left();
  for (const auto& entry : left) {
    spdlog::error(
        "{}/{} could not be restored: it should hold {} again. 'sluiced --restore' tries once more.",
        cgroups::escape(entry.path), file_name(entry.knob), baseline_words(entry.baseline));
  }
  spdlog::info("{} baseline(s) restored, {} failed.", engine.given_back(), left.size());
  if (const auto closed = engine.close(); !closed) spdlog::error("{}", describe(closed.error()));
  return left.empty();
}

bool release_everything(CgroupHost& host, Engine& engine, const NodeFacts& node) {
  constexpr auto kStep = std::chrono::milliseconds(100);
  publish::LogPublisher log;
  engine.stop();
  const auto until = monotonic_now() + kReleaseTime;
  const auto publish = [&] {
    for (const auto& sentence : engine.take_sentences())
      spdlog::log(sentence.good ? spdlog::level::info : spdlog::level::err, "{}", sentence.text);
    for (const auto& report : engine.take_reports()) log.publish(*report);
  };
  do {
    engine.look(monotonic_now());
    engine.full_tick({monotonic_now(), {}, node});
    publish();
    if (engine.all_given_back()) break;
    pollfd receipts{host.receipts_fd(), POLLIN, 0};
    (void)::poll(&receipts, 1, static_cast<int>(kStep.count()));
    if (engine.collect_receipts()) engine.event_tick({monotonic_now(), {}, node}, {});
    publish();
  } while (!engine.all_given_back() && monotonic_now() < until);
  return report_release(engine);
}

}  // namespace sluice
