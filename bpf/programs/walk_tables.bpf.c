// SPDX-License-Identifier: GPL-2.0
// Runs once at start: finds two static arrays of the kernel by name and copies them. They map the counters of
// memory.stat to positions. The symbols are walked in the kernel, so CAP_SYSLOG is not needed.
#include "bpf/wire/walk_tables.h"

#include "bpf/programs/kernel.h"

char LICENSE[] SEC("license") = "GPL";

struct sluice_walk_tables tables;

// Names are compared as words, which avoids a loop over bytes for a hundred thousand symbols. Each name fits
// with its final zero.
#define NAME_BYTES 24
union symbol_name {
  char text[NAME_BYTES];
  uint64_t words[NAME_BYTES / sizeof(uint64_t)];
};
static const union symbol_name names[SLUICE_TABLES] = {
    [SLUICE_TABLE_STATE] = {.text = "mem_cgroup_stats_index"},
    [SLUICE_TABLE_EVENTS] = {.text = "mem_cgroup_events_index"},
};

SEC("iter/ksym")
int find_tables(struct bpf_iter__ksym* ctx) {
  struct kallsym_iter* symbol = ctx->ksym;
  if (!symbol) return 0;  // the end
  union symbol_name name = {};
  bpf_probe_read_kernel_str(&name, sizeof(name), (const void*)__builtin_preserve_access_index(&symbol->name));
#pragma unroll
  for (int table = 0; table < SLUICE_TABLES; table++) {
    if (name.words[0] != names[table].words[0] || name.words[1] != names[table].words[1] ||
        name.words[2] != names[table].words[2] || tables.found[table])
      continue;
    if (bpf_probe_read_kernel(tables.bytes[table], SLUICE_TABLE_BYTES, (const void*)symbol->value)) continue;
    tables.found[table] = 1;
    tables.missing--;
  }
  return tables.missing == 0;  // 1 ends the iteration
}
