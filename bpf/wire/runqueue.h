/* Shared by runqueue.bpf.c and the loader only. */
#pragma once

#include "bpf/wire/counters.h"

/* Entries of the map `waits` per slot: one per CPU, shared if there are more CPUs. */
#define SLUICE_WAIT_STRIPES_MAX 16
