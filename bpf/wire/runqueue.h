/* Between runqueue.bpf.c and the loader only. */
#pragma once

#include "bpf/wire/counters.h"

/* Entries of the map `waits` for each slot: CPUs take one each, or share them where there are more. */
#define SLUICE_WAIT_STRIPES_MAX 16
