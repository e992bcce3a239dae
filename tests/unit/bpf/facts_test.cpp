#include "bpf/loader/facts.hpp"

#include <bpf/btf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace sluice::bpf {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Synthetic types of a kernel.
class FakeTypes {
 public:
  FakeTypes() : types_(btf__new_empty(), &btf__free) {
    int_ = btf__add_int(get(), "int", 4, BTF_INT_SIGNED);
    const int boolean = btf__add_int(get(), "_Bool", 1, BTF_INT_BOOL);
    bool_ = btf__add_typedef(get(), "bool", boolean);
  }
  btf* get() const { return types_.get(); }
  int integer() const { return int_; }
  int boolean() const { return bool_; }

  FakeTypes& function(const char* name, int result, int arguments) {
    const int prototype = btf__add_func_proto(get(), result);
    for (int i = 0; i < arguments; ++i) btf__add_func_param(get(), "argument", int_);
    btf__add_func(get(), name, BTF_FUNC_STATIC, prototype);
    return *this;
  }
  FakeTypes& structure(const char* name, const char* member) {
    btf__add_struct(get(), name, 8);
    btf__add_field(get(), "before", int_, 0, 0);
    btf__add_field(get(), member, int_, 32, 0);
    return *this;
  }
  FakeTypes& variable(const char* name) {
    btf__add_var(get(), name, BTF_VAR_STATIC, int_);
    return *this;
  }
  KernelFacts facts() const {
    KernelFacts facts;
    learn_types(get(), facts);
    return facts;
  }

 private:
  std::unique_ptr<btf, decltype(&btf__free)> types_;
  int int_ = 0;
  int bool_ = 0;
};

KernelFacts everything() {
  KernelFacts facts;
  facts.has_btf = facts.has_capability = facts.has_cgroup2 = facts.has_cgroup_iterator = true;
  facts.has_cgroup_flush = facts.has_psi = facts.has_bandwidth = facts.has_throttle_hook = true;
  EventFacts& events = facts.events;
  events.has_switch_hook = events.has_unthrottle_hook = events.has_memstall_hooks = true;
  events.has_tcp_iterator = events.has_socket_state_hook = events.has_write_hook = true;
  return facts;
}

TEST(LearnTypes, AnEmptyKernelHasNothing) {
  const KernelFacts facts = FakeTypes().facts();
  EXPECT_FALSE(facts.has_cgroup_iterator);
  EXPECT_FALSE(facts.has_cgroup_flush);
  EXPECT_FALSE(facts.has_css_flush);
  EXPECT_FALSE(facts.has_psi);
  EXPECT_FALSE(facts.has_psi_seq);
  EXPECT_FALSE(facts.has_bandwidth);
  EXPECT_FALSE(facts.has_throttle_hook);
}

TEST(LearnTypes, FindsWhatIsThere) {
  FakeTypes types;
  types.function("bpf_iter_cgroup", types.integer(), 2).function("throttle_cfs_rq", types.boolean(), 1);
  types.structure("cgroup", "psi").structure("task_group", "cfs_bandwidth").variable("psi_seq");
  const KernelFacts facts = types.facts();
  EXPECT_TRUE(facts.has_cgroup_iterator);
  EXPECT_TRUE(facts.has_throttle_hook) << "a typedef of bool is a bool";
  EXPECT_TRUE(facts.has_psi);
  EXPECT_TRUE(facts.has_bandwidth);
  EXPECT_TRUE(facts.has_psi_seq);
}

TEST(LearnTypes, TakesOneOfTheTwoFlushes) {
  FakeTypes types;
  EXPECT_TRUE(types.function("css_rstat_flush", 0, 1).facts().has_css_flush);
  const KernelFacts both = types.function("cgroup_rstat_flush", 0, 1).facts();
  EXPECT_TRUE(both.has_cgroup_flush);
  EXPECT_FALSE(both.has_css_flush);
}

TEST(LearnTypes, AHookThatDoesNotSayWhetherItThrottledIsNone) {
  FakeTypes returns_nothing, returns_int, takes_two;
  EXPECT_FALSE(returns_nothing.function("throttle_cfs_rq", 0, 1).facts().has_throttle_hook);
  EXPECT_FALSE(returns_int.function("throttle_cfs_rq", returns_int.integer(), 1).facts().has_throttle_hook);
  EXPECT_FALSE(takes_two.function("throttle_cfs_rq", takes_two.boolean(), 2).facts().has_throttle_hook);
}

TEST(LearnTypes, AMemberOfAnotherStructureDoesNotCount) {
  FakeTypes types;
  EXPECT_FALSE(types.structure("cgroup", "kn").structure("psi_group", "psi").facts().has_psi);
}

TEST(Gaps, NothingMissingNothingSaid) {
  EXPECT_THAT(gaps(everything()), IsEmpty());
}

TEST(Gaps, TheNewerFlushIsNoGap) {
  KernelFacts facts = everything();
  facts.has_cgroup_flush = false;
  facts.has_css_flush = true;
  EXPECT_THAT(gaps(facts), IsEmpty());
}

TEST(Gaps, EachSaysWhatIsMissingAndWhatFollows) {
  struct Case {
    bool KernelFacts::*fact;
    const char* missing;
    const char* follows;
  };
  for (const Case& one : {Case{&KernelFacts::has_cgroup2, "cgroup v2", "nothing to walk"},
                          Case{&KernelFacts::has_btf, "/sys/kernel/btf/vmlinux", "through files"},
                          Case{&KernelFacts::has_capability, "CAP_BPF", "through files"},
                          Case{&KernelFacts::has_cgroup_iterator, "iterate over cgroups", "through files"},
                          Case{&KernelFacts::has_cgroup_flush, "flush", "cpu.stat is read through files"},
                          Case{&KernelFacts::has_psi, "psi=1", "stalls are not seen"},
                          Case{&KernelFacts::has_bandwidth, "CONFIG_CFS_BANDWIDTH", "cannot be limited"},
                          Case{&KernelFacts::has_throttle_hook, "throttle_cfs_rq", "next tick"}}) {
    KernelFacts facts = everything();
    facts.*one.fact = false;
    const std::vector<Gap> found = gaps(facts);
    ASSERT_THAT(found, SizeIs(1)) << one.missing;
    EXPECT_THAT(found[0].sentence(), HasSubstr(one.missing));
    EXPECT_THAT(found[0].sentence(), HasSubstr(one.follows));
    EXPECT_TRUE(found[0].sentence().ends_with("."));
  }
}

TEST(Gaps, OneRootCauseIsOneSentence) {
  EXPECT_THAT(gaps(KernelFacts{}), SizeIs(1)) << "without cgroup v2 the rest is of no interest";
  KernelFacts facts;
  facts.has_cgroup2 = true;
  EXPECT_THAT(gaps(facts), SizeIs(1)) << "without BTF nothing else is known";
}

TEST(ProbeKernel, AnswersOnAnyHost) {
  const KernelFacts facts = probe_kernel();
  if (!facts.has_btf) {
    EXPECT_FALSE(facts.has_cgroup_iterator || facts.has_throttle_hook || facts.has_psi);
  }
}

}  // namespace
}  // namespace sluice::bpf
