// SPDX-License-Identifier: GPL-2.0
// Time that tasks of governed cgroups are stalled on memory, the part of it that is the sleep imposed for
// exceeding memory.high, and OOM kills.
#include "bpf/wire/memstall.h"

#include "bpf/programs/governed.bpf.h"
#include "bpf/wire/record.h"

char LICENSE[] SEC("license") = "GPL";

const volatile uint64_t event_interval_ns = 0;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);  // set by the loader
  __type(key, uint32_t);   // slot
  __type(value, struct sluice_stall_slot);
} stalls SEC(".maps");

// When a task's stall began. Preallocated, because memory is short here.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, uint64_t);  // kind of stall, thread id
  __type(value, uint64_t);
} began SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);  // set by the loader
} events SEC(".maps");

struct sluice_stall_counts counts;

enum stall_kind { ANY = 0, ABOVE_HIGH = 1 };

static __always_inline uint64_t key_of(enum stall_kind kind) {
  return (uint64_t)kind << 32 | (uint32_t)bpf_get_current_pid_tgid();
}

static __always_inline struct sluice_stall_slot* stalls_of(struct task_struct* task) {
  struct cgroup* cgrp = BPF_CORE_READ(task, cgroups, dfl_cgrp);
  if (!cgrp) return NULL;
  uint32_t slot = governed_slot(cgrp, BPF_CORE_READ(cgrp, kn, id));
  return slot == SLUICE_NO_SLOT ? NULL : bpf_map_lookup_elem(&stalls, &slot);
}

static __always_inline void begin(enum stall_kind kind) {
  uint64_t key = key_of(kind), now = bpf_ktime_get_ns();
  if (stalls_of(bpf_get_current_task_btf())) bpf_map_update_elem(&began, &key, &now, BPF_ANY);
}

// 0: the beginning was not seen.
static __always_inline uint64_t end(enum stall_kind kind) {
  uint64_t key = key_of(kind);
  const uint64_t* since = bpf_map_lookup_elem(&began, &key);
  if (!since) return 0;
  uint64_t lasted = bpf_ktime_get_ns() - *since;
  bpf_map_delete_elem(&began, &key);
  return lasted;
}

// Stalls nest. As in the kernel, only the outermost counts.
SEC("fentry/psi_memstall_enter")
int BPF_PROG(on_stall, unsigned long* outer) {
  struct task_struct* task = bpf_get_current_task_btf();
  if (BPF_CORE_READ_BITFIELD_PROBED(task, in_memstall)) return 0;
  begin(ANY);
  return 0;
}

SEC("fentry/psi_memstall_leave")
int BPF_PROG(on_stall_end, unsigned long* outer) {
  unsigned long nested = 1;
  bpf_probe_read_kernel(&nested, sizeof(nested), outer);
  if (nested) return 0;
  uint64_t lasted = end(ANY);
  if (!lasted) return 0;
  struct sluice_stall_slot* stall = stalls_of(bpf_get_current_task_btf());
  if (stall) __sync_fetch_and_add(&stall->stalled_ns, lasted);
  return 0;
}

// The penalty is a sleep within a stall, and no other stall sleeps in this function. The function that
// decides on it, mem_cgroup_handle_over_high(), is not traced: older kernels call it whenever a switched-out
// thread returns to user mode, and two programs there cost a tenth of a switch.
SEC("?fentry/schedule_timeout_killable")
int BPF_PROG(on_penalty) {
  if (BPF_CORE_READ_BITFIELD_PROBED(bpf_get_current_task_btf(), in_memstall)) begin(ABOVE_HIGH);
  return 0;
}

SEC("?fexit/schedule_timeout_killable")
int BPF_PROG(on_penalty_end) {
  uint64_t lasted = end(ABOVE_HIGH);
  if (!lasted) return 0;
  struct sluice_stall_slot* stall = stalls_of(bpf_get_current_task_btf());
  if (stall) __sync_fetch_and_add(&stall->high_throttled_ns, lasted);
  return 0;
}

SEC("?fentry/oom_kill_process")
int BPF_PROG(on_oom, struct oom_control* oom, const char* message) {
  struct task_struct* victim = BPF_CORE_READ(oom, chosen);
  if (!victim) return 0;
  struct cgroup* cgrp = BPF_CORE_READ(victim, cgroups, dfl_cgrp);
  if (!cgrp) return 0;
  uint32_t slot = governed_slot(cgrp, BPF_CORE_READ(cgrp, kn, id));
  if (slot == SLUICE_NO_SLOT) return 0;
  struct sluice_stall_slot* stall = bpf_map_lookup_elem(&stalls, &slot);
  if (!stall) return 0;
  __sync_fetch_and_add(&stall->oom_kills, 1);

  uint64_t now = bpf_ktime_get_ns(), last = stall->last_oom_event_ns;
  if ((last && now - last < event_interval_ns) ||
      __sync_val_compare_and_swap(&stall->last_oom_event_ns, last, now) != last) {
    __sync_fetch_and_add(&stall->suppressed, 1);
    __sync_fetch_and_add(&counts.suppressed, 1);
    return 0;
  }
  struct sluice_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) {
    __sync_fetch_and_add(&counts.lost, 1);
    stall->last_oom_event_ns = 0;
    return 0;
  }
  uint64_t suppressed = __sync_lock_test_and_set(&stall->suppressed, 0);
  event->cgroup_id = stall->cgroup_id;
  event->at_ktime_ns = now;
  event->cpu = bpf_get_smp_processor_id();
  event->kind = SLUICE_EVENT_OOM_KILL;
  event->suppressed = suppressed;
  bpf_ringbuf_submit(event, 0);
  return 0;
}
