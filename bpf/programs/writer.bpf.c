// SPDX-License-Identifier: GPL-2.0
// External writers of a governed cgroup's cpu.max, memory.high or cpu.weight.
#include "bpf/wire/writer.h"

#include "bpf/programs/governed.bpf.h"
#include "bpf/wire/counters.h"

char LICENSE[] SEC("license") = "GPL";

const volatile uint64_t event_interval_ns = 0;
const volatile uint32_t own_tgid = 0;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);  // set by the loader
  __type(key, uint32_t);   // slot
  __type(value, struct sluice_write_slot);
} writes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);  // set by the loader
} events SEC(".maps");

struct sluice_write_counts counts;

// With its end, and zeros after it: two words, which cost far fewer instructions than sixteen bytes.
#define NAME 16
union file_name {
  char text[NAME];
  uint64_t words[NAME / sizeof(uint64_t)];
};

static __always_inline bool same(const union file_name* name, const char wanted[NAME]) {
  union file_name constant;
  __builtin_memcpy(constant.text, wanted, NAME);
  return name->words[0] == constant.words[0] && name->words[1] == constant.words[1];
}
#define IS(name, wanted) same(name, (const char[NAME]){wanted})

// A burst belongs to the knob of its quota, and cpu.weight.nice to that of cpu.weight. -1: no governed knob.
static __always_inline int knob_of(struct kernfs_node* file) {
  union file_name name = {};
  bpf_probe_read_kernel_str(name.text, sizeof(name.text), BPF_CORE_READ(file, name));
  if (IS(&name, "cpu.max") || IS(&name, "cpu.max.burst")) return SLUICE_KNOB_CPU_MAX;
  if (IS(&name, "memory.high")) return SLUICE_KNOB_MEMORY_HIGH;
  if (IS(&name, "cpu.weight") || IS(&name, "cpu.weight.nice")) return SLUICE_KNOB_CPU_WEIGHT;
  return -1;
}

static __always_inline void name_writer(struct sluice_write_event* event) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct cgroup* cgrp = BPF_CORE_READ(task, cgroups, dfl_cgrp);
  event->pid = bpf_get_current_pid_tgid() >> 32;
  event->uid = (uint32_t)bpf_get_current_uid_gid();
  event->writer_cgroup_id = BPF_CORE_READ(cgrp, kn, id);
  bpf_get_current_comm(event->comm, sizeof(event->comm));
#pragma unroll
  for (int level = 0; level < SLUICE_WRITER_LEVELS; level++) {
    event->cgroup[level][0] = 0;
    if (!cgrp) continue;
    bpf_probe_read_kernel_str(event->cgroup[level], SLUICE_WRITER_NAME, BPF_CORE_READ(cgrp, kn, name));
    cgrp = kernel_parent(cgrp);
  }
}

// Runs after the write, so that refused writes are not reported. Such writes are rare: every write to any
// file of a cgroup passes here, and most are by systemd, which moves processes.
SEC("fexit/cgroup_file_write")
int BPF_PROG(on_write, struct kernfs_open_file* of, char* text, size_t bytes, int64_t offset, long written) {
  uint32_t pid = bpf_get_current_pid_tgid() >> 32;
  if (written < 0 || pid == own_tgid) return 0;
  struct kernfs_node* file = BPF_CORE_READ(of, kn);
  int knob = knob_of(file);
  if (knob < 0) return 0;
  struct kernfs_node* directory = kernel_parent_node(file);
  uint64_t id = BPF_CORE_READ(directory, id), now = bpf_ktime_get_ns();
  const uint32_t* slot = bpf_map_lookup_elem(&governed, &id);
  struct sluice_write_slot* limit = slot ? bpf_map_lookup_elem(&writes, slot) : NULL;
  if (!limit) return 0;
  uint64_t last = limit->last_event_ns;
  if (last && now - last < event_interval_ns) {
    __sync_fetch_and_add(&limit->suppressed, 1);
    __sync_fetch_and_add(&counts.suppressed, 1);
    return 0;
  }
  limit->last_event_ns = now;
  struct sluice_write_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) {
    __sync_fetch_and_add(&counts.lost, 1);
    limit->last_event_ns = 0;
    return 0;
  }
  event->event.cgroup_id = id;
  event->event.at_ktime_ns = now;
  event->event.cpu = bpf_get_smp_processor_id();
  event->event.kind = SLUICE_EVENT_WRITTEN;
  event->event.suppressed = __sync_lock_test_and_set(&limit->suppressed, 0);
  event->knob = (uint32_t)knob;
  event->unused = 0;
  event->value[0] = 0;
  bpf_probe_read_kernel_str(event->value, sizeof(event->value), text);
  name_writer(event);
  bpf_ringbuf_submit(event, 0);
  return 0;
}
