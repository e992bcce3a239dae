// Steps between two checks of the engine, and their names in reports of failures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string_view>

namespace sluice::testing {

enum class EngineOp : std::uint8_t {
  full_tick,
  full_tick_again,  // the most frequent step
  look_then_event,  // an event between the two halves of a tick
  event_tick,
  land,
  land_last,
  refuse,
  overdue,
  answer,
  answer_last,
  external_cpu,
  external_memory,
  external_weight,
  node_changes,  // its number of CPUs changes, so that it is too small, or large enough
  vanish,
  come_back,
  knob_off,
  knob_on,
  walk_in_part,
  walk_fails,
  open_fails,
  samples_fail,
  pin,
  unpin,
  suspend,
  resume,
  suspend_node,
  resume_node,
  set_mode,
  reload,
  files_fail,
  kill,
  stop_and_start,
  count,
};

inline std::ostream& operator<<(std::ostream& out, EngineOp op) {
  constexpr std::string_view kNames[] = {"full_tick",
                                         "full_tick_again",
                                         "look_then_event",
                                         "event_tick",
                                         "land",
                                         "land_last",
                                         "refuse",
                                         "overdue",
                                         "answer",
                                         "answer_last",
                                         "external_cpu",
                                         "external_memory",
                                         "external_weight",
                                         "node_changes",
                                         "vanish",
                                         "come_back",
                                         "knob_off",
                                         "knob_on",
                                         "walk_in_part",
                                         "walk_fails",
                                         "open_fails",
                                         "samples_fail",
                                         "pin",
                                         "unpin",
                                         "suspend",
                                         "resume",
                                         "suspend_node",
                                         "resume_node",
                                         "set_mode",
                                         "reload",
                                         "files_fail",
                                         "kill",
                                         "stop_and_start"};
  return out << kNames[static_cast<std::size_t>(op)];
}

}  // namespace sluice::testing
