// probe_holder: keeps two empty programs on sched_switch until it is killed. Further probes are then only
// added to or removed from a list. With the first two, the kernel rewrites its scheduler's code while it
// runs, and the emulator of the guests sometimes executes the old code, which ends in a panic.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>

int main() {
  const bpf_insn return_zero[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  for (int i = 0; i < 2; ++i) {  // the kernel accepts each program once
    const int program = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "held", "GPL", return_zero,
                                      std::size(return_zero), nullptr);
    if (program < 0 || bpf_raw_tracepoint_open("sched_switch", program) < 0) {
      std::perror("probe_holder: sched_switch");
      return 1;
    }
  }
  std::puts("held");
  std::fflush(stdout);
  for (;;) pause();
}
