// From what each task's controllers want to the writes of a plan, one knob at a time. Private to this folder.
#pragma once

#include <vector>

#include "daemon/arbitrate/arbitrate.hpp"
#include "daemon/tick/parts.hpp"

namespace sluice::parts {

// One knob of every task.
struct Lane {
  std::vector<KnobClaim> claims;
  std::vector<TaskState*> tasks;
  std::vector<std::size_t> bursts;  // claims whose quota calls for another burst, if it stays

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

// Each task decides. One that is not governed claims nothing: it counts by what it uses.
void claim_cpu(Tick& t, TaskState& task, const Bounds& bounds, Lane& lane);
void claim_memory(Tick& t, TaskState& task, const Bounds& bounds, Lane& lane);
// What all of them get of the node, into plan and report.
void share_cpu(Tick& t, const Lane& lane);
void share_memory(Tick& t, const Lane& lane);

}  // namespace sluice::parts
