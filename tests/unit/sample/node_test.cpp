#include "daemon/sample/node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::sample {
namespace {

using test::PlainTree;

TEST(Node, IsReadFromTheProcfsItIsGiven) {
  const PlainTree tree;
  tree.put("stat", "cpu  1 2 3\ncpu0 1 2 3\ncpu2 1 2 3\nintr 5 0 0\nctxt 1\ncpu9 is no CPU here\n");
  tree.put("meminfo",
           "MemTotal:        2048 kB\nMemFree:  1 kB\nSwapTotal: 9 kB\nSwapFree:           3 kB\n");
  tree.put("sys/kernel/random/boot_id", "0f3a1c52-0000-4000-8000-00000000beef\n");
  const auto proc = open_proc(tree.path().c_str());
  ASSERT_TRUE(proc.has_value());
  const auto facts = node_facts(proc->get());
  ASSERT_TRUE(facts.has_value()) << cgroups::describe(facts.error());
  EXPECT_EQ(facts->cpu_capacity_cores, 2) << "cpu1 is offline";
  EXPECT_EQ(facts->memory_capacity, 2048u * 1024);
  EXPECT_EQ(host_swap_free(proc->get()), 3u * 1024);
  EXPECT_EQ(read_boot_id(proc->get()), "0f3a1c52-0000-4000-8000-00000000beef");
}

TEST(Node, HugePagesAreNotMemoryToShare) {
  struct Row {
    const char* hugetlb;
    Bytes kib;
    const char* fault;
  };
  const Row rows[] = {
      {"", 8192, ""},  // a kernel without them
      {"Hugetlb:               0 kB\n", 8192, ""},
      {"Hugetlb:            6144 kB\n", 2048, ""},
      {"HugePages_Total:       1\nHugepagesize:       2048 kB\nHugetlb:            4096 kB\n", 4096,
       ""},  // all sizes
      {"Hugetlb:            8192 kB\n", 8192, "Hugetlb is not less than MemTotal"},
      {"Hugetlb:            9000 kB\n", 8192, "Hugetlb is not less than MemTotal"},
      {"Hugetlb:            many kB\n", 8192, "Hugetlb is not a number of kB"},
      {"HugetlbX:           4096 kB\n", 8192, ""},
  };
  const PlainTree tree;
  tree.put("stat", "cpu  1 2 3\ncpu0 1 2 3\n");
  const auto proc = open_proc(tree.path().c_str());
  for (const auto& row : rows) {
    tree.put("meminfo", std::string("MemTotal:        8192 kB\nSwapFree: 0 kB\n") + row.hugetlb);
    std::string fault = "old";
    const auto facts = node_facts(proc->get(), &fault);
    ASSERT_TRUE(facts.has_value()) << row.hugetlb;
    EXPECT_EQ(facts->memory_capacity, row.kib * 1024) << row.hugetlb;
    EXPECT_THAT(fault, testing::HasSubstr(row.fault)) << row.hugetlb;
    EXPECT_EQ(fault.empty(), *row.fault == 0) << fault;
  }
}

TEST(Node, WorksOnThisHost) {
  const auto proc = open_proc();
  ASSERT_TRUE(proc.has_value());
  const auto facts = node_facts(proc->get());
  ASSERT_TRUE(facts.has_value()) << cgroups::describe(facts.error());
  EXPECT_GE(facts->cpu_capacity_cores, 1);
  EXPECT_GT(facts->memory_capacity, 1u << 20);
  EXPECT_TRUE(read_boot_id(proc->get()).has_value());
}

TEST(Node, MissingOrMalformedIsAnErrorNotAZero) {
  const PlainTree tree;
  const auto proc = open_proc(tree.path().c_str());
  EXPECT_EQ(node_facts(proc->get()).error().errno_value, ENOENT);
  tree.put("sys/kernel/random/boot_id", "short\n");
  EXPECT_EQ(read_boot_id(proc->get()).error().errno_value, EBADMSG);
  EXPECT_EQ(open_proc((tree / "absent").c_str()).error().errno_value, ENOENT);

  EXPECT_FALSE(parse_online_cpus("").has_value());
  EXPECT_FALSE(parse_online_cpus("cpu  1 2 3\nintr 0\n").has_value());
  for (const char* text : {"", "MemTotal 5 kB\n", "MemTotal: kB\n", "MemTotal: 5\n", "MemTotal: 5 MB\n",
                           "MemTotal: -5 kB\n", "MemTotal: 18014398509481984 kB\n", "XMemTotal: 5 kB\n"}) {
    EXPECT_FALSE(parse_meminfo(text, "MemTotal").has_value()) << text;
  }
  EXPECT_EQ(parse_meminfo("MemTotalX: 5 kB\nMemTotal:  6 kB", "MemTotal"), 6u * 1024);
}

}  // namespace
}  // namespace sluice::sample
