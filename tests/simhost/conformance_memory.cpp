// memory.high, memory.max and related files: parsing, rounding, write-only and read-only files.
#include <linux/capability.h>

#include "tests/simhost/conformance.hpp"

namespace conformance {

using Memory = Conformance;

TEST_F(Memory, DefaultsAreOpen) {
  for (const char* name : {"memory.high", "memory.max"}) EXPECT_EQ(read(name), "max\n") << name;
  for (const char* name : {"memory.low", "memory.min", "memory.current"})
    EXPECT_EQ(read(name), "0\n") << name;
}

TEST_F(Memory, LimitsRoundDownToPages) {
  for (const char* name : {"memory.high", "memory.max"}) {
    EXPECT_HOLDS(name, "4096", "4096\n");
    EXPECT_HOLDS(name, "8191", "4096\n");
    EXPECT_HOLDS(name, "4095", "0\n");
    EXPECT_HOLDS(name, "0", "0\n");
    EXPECT_HOLDS(name, "max\n", "max\n");
  }
}

TEST_F(Memory, TwoToThe64IsNought) {
  EXPECT_HOLDS("memory.high", "18446744073709551616", "0\n");
}

TEST_F(Memory, TheLargestNumbersReadAsMax) {
  EXPECT_HOLDS("memory.high", "18446744073709551615", "max\n");
  EXPECT_HOLDS("memory.high", "9223372036854771712", "max\n");
  EXPECT_HOLDS("memory.high", "9223372036854767616", "9223372036854767616\n");
}

TEST_F(Memory, SuffixesAndBasesCount) {
  EXPECT_HOLDS("memory.high", "8k", "8192\n");
  EXPECT_HOLDS("memory.high", "50M", "52428800\n");
  EXPECT_HOLDS("memory.high", "1g", "1073741824\n");
  EXPECT_HOLDS("memory.high", "0x2000", "8192\n");
  EXPECT_HOLDS("memory.high", "020000", "8192\n");
  EXPECT_HOLDS("memory.high", "1T", "1099511627776\n");
}

TEST_F(Memory, SpaceAroundIsStripped) {
  EXPECT_HOLDS("memory.high", "  8192 \n", "8192\n");
}

TEST_F(Memory, RefusesJunk) {
  for (const char* name : {"memory.high", "memory.max", "memory.low", "memory.min"}) {
    for (const char* text : {"-1", "5e4", "abc", "8192 junk", "8192x", "8192.0", "maximum", "Max", "50MiB"}) {
      EXPECT_REFUSED(name, text, EINVAL);
    }
  }
}

TEST_F(Memory, AnEmptyWriteIsNothingAndANewlineIsNought) {
  ASSERT_EQ(write("memory.high", "8192"), 0);
  EXPECT_HOLDS("memory.high", "", "8192\n");
  EXPECT_HOLDS("memory.high", "\n", "0\n");  // so `echo > memory.high` sets the strictest limit
}

TEST_F(Memory, LowAndMinTakeAnyAmount) {
  for (const char* name : {"memory.low", "memory.min"}) {
    EXPECT_HOLDS(name, "8191", "4096\n");
    EXPECT_HOLDS(name, "max", "max\n");
    EXPECT_HOLDS(name, "0", "0\n");
  }
}

TEST_F(Memory, ReclaimOfNothingTriesAgain) {
  EXPECT_EQ(write("memory.reclaim", "1M"), EAGAIN);
  EXPECT_EQ(write("memory.reclaim", "0"), 0);
  EXPECT_EQ(write("memory.reclaim", "x"), EINVAL);
  EXPECT_EQ(write("memory.reclaim", "-1"), EINVAL);
}

TEST_F(Memory, WriteOnlyFilesCannotBeRead) {
  for (const char* name : {"memory.reclaim", "cgroup.kill"}) {
    const Fd fd = open_file(file(name));
    EXPECT_EQ(fd.get() < 0 ? errno : read_errno(fd.get()), capable(CAP_DAC_OVERRIDE) ? EINVAL : EACCES)
        << name;
  }
}

TEST_F(Memory, ReadOnlyFilesCannotBeWritten) {
  for (const char* name : {"memory.current", "memory.stat", "memory.events", "cpu.stat", "cgroup.controllers",
                           "cgroup.events"}) {
    EXPECT_EQ(write(name, "1"), capable(CAP_DAC_OVERRIDE) ? EINVAL : EACCES) << name;
  }
}

TEST_F(Memory, OomGroupIsABit) {
  EXPECT_HOLDS("memory.oom.group", "1", "1\n");
  EXPECT_HOLDS("memory.oom.group", "0", "0\n");
  EXPECT_REFUSED("memory.oom.group", "2", EINVAL);
  EXPECT_REFUSED("memory.oom.group", "x", EINVAL);
}

TEST_F(Memory, SwapLimits) {
  EXPECT_EQ(read("memory.swap.max"), "max\n");
  EXPECT_EQ(read("memory.swap.current"), "0\n");
  EXPECT_HOLDS("memory.swap.max", "0", "0\n");
  EXPECT_HOLDS("memory.swap.max", "max", "max\n");
}

TEST_F(Memory, StatAndEventsHaveTheKeysThatAreUsed) {
  for (const char* key : {"anon", "file", "kernel_stack", "pagetables", "slab_unreclaimable", "unevictable",
                          "inactive_file", "active_file", "workingset_refault_anon",
                          "workingset_refault_file", "pgscan", "pgsteal", "pgfault", "pgmajfault"}) {
    field(file("memory.stat"), key);
  }
  for (const char* key : {"low", "high", "max", "oom", "oom_kill"}) {
    EXPECT_EQ(field(file("memory.events"), key), 0U) << key;
  }
}

}  // namespace conformance
