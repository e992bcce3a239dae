/* Shared by walk_tables.bpf.c and the loader: the kernel's tables of the positions of memory.stat's counters.
 * */
#pragma once

#include "bpf/wire/record.h"

enum sluice_table { SLUICE_TABLE_STATE, SLUICE_TABLE_EVENTS, SLUICE_TABLES };

#define SLUICE_TABLE_BYTES 1024

/* .bss of the program: the memory at each symbol, up to the maximal size of a table. */
struct sluice_walk_tables {
  uint32_t found[SLUICE_TABLES];
  uint32_t missing; /* tables to look for; 0 ends the search */
  uint8_t bytes[SLUICE_TABLES][SLUICE_TABLE_BYTES];
};
