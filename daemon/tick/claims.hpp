// From the controllers' intents to the planned writes, one knob at a time. Private to this folder.
#pragma once

#include <vector>

#include "daemon/arbitrate/arbitrate.hpp"
#include "daemon/tick/parts.hpp"

namespace sluice::parts {

// The claims of all tasks on one knob.
struct Lane {
  std::vector<KnobClaim> claims;
  std::vector<TaskState*> tasks;
  std::vector<std::size_t> bursts;  // indexes of claims that need another burst if the quota stays

  void reserve(std::size_t n) {
    claims.reserve(n);
    tasks.reserve(n);
  }
  void add(const KnobClaim& claim, TaskState& task) {
    claims.push_back(claim);
    tasks.push_back(&task);
  }
};

CpuInput cpu_input(const Tick& t, const TaskState& task, const Bounds& bounds);
MemoryInput memory_input(const Tick& t, const TaskState& task, const Bounds& bounds);

// Runs the controller of each task. A task that is not governed makes no claim; its usage is counted.
void claim_cpu(Tick& t, TaskState& task, const Bounds& bounds, Lane& lane);
void claim_memory(Tick& t, TaskState& task, const Bounds& bounds, Lane& lane);
// Shares the node's capacity among the claims; fills plan and report.
void share_cpu(Tick& t, const Lane& lane);
void share_memory(Tick& t, const Lane& lane);

}  // namespace sluice::parts
