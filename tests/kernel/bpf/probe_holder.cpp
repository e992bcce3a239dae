// probe_holder: keeps two empty programs on sched_switch until it is killed. A third probe is then added to
// and taken from a list, where the first two would have the kernel rewrite its scheduler's code while it
// runs: the emulator of the lane's guests sometimes executes what was there before, which ends in a panic
// that is nobody's.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>

int main() {
  const bpf_insn return_zero[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  for (int i = 0; i < 2; ++i) {  // the kernel takes each program once
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
