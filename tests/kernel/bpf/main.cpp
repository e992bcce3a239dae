// PROGRAM --root=CGROUP: compares the BPF programs with the kernel's own files. Needs root and a kernel with
// all facilities: a missing one is a failure, not a skip.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/kernel/bpf/tree.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const char* root = std::getenv("CHECK_CGROUP");
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]).starts_with("--root=")) root = argv[i] + 7;
  if (!root) {
    std::fprintf(stderr, "name an empty cgroup with cpu and memory for its children: --root=DIRECTORY\n");
    return 2;
  }
  sluice::kernel_test::set_root(root);
  return RUN_ALL_TESTS();
}
