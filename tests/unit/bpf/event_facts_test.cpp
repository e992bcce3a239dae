#include "bpf/loader/event_facts.hpp"

#include <bpf/btf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "bpf/loader/facts.hpp"

namespace sluice::bpf {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class FakeTypes {
 public:
  FakeTypes() : types_(btf__new_empty(), &btf__free) {
    int_ = btf__add_int(types_.get(), "int", 4, BTF_INT_SIGNED);
  }
  FakeTypes& function(const char* name, int arguments) {
    const int prototype = btf__add_func_proto(types_.get(), int_);
    for (int i = 0; i < arguments; ++i) btf__add_func_param(types_.get(), "argument", int_);
    btf__add_func(types_.get(), name, BTF_FUNC_STATIC, prototype);
    return *this;
  }
  FakeTypes& structure(const char* name, const char* member) {
    btf__add_struct(types_.get(), name, 8);
    btf__add_field(types_.get(), "before", int_, 0, 0);
    btf__add_field(types_.get(), member, int_, 32, 0);
    return *this;
  }
  FakeTypes& wrapped(const char* name, const char* member) {  // the member is in an unnamed struct
    const int inner = btf__add_struct(types_.get(), nullptr, 4);
    btf__add_field(types_.get(), member, int_, 0, 0);
    btf__add_struct(types_.get(), name, 4);
    btf__add_field(types_.get(), nullptr, inner, 0, 0);
    return *this;
  }
  FakeTypes& tracepoint(const char* name) {
    btf__add_typedef(types_.get(), (std::string("btf_trace_") + name).c_str(), int_);
    return *this;
  }
  EventFacts facts() const {
    EventFacts facts;
    learn_event_types(types_.get(), facts);
    return facts;
  }

 private:
  std::unique_ptr<btf, decltype(&btf__free)> types_;
  int int_ = 0;
};

TEST(EventFacts, AnEmptyKernelHasNothingAndSaysWhatThatMeans) {
  const EventFacts facts = FakeTypes().facts();
  EXPECT_FALSE(facts.has_switch_hook);
  EXPECT_FALSE(facts.has_memory_hook());
  EXPECT_FALSE(facts.has_sockets());
  EXPECT_FALSE(facts.has_write_hook);
  EXPECT_EQ(facts.accept_arguments, 0);
  const auto gaps = event_gaps(facts);
  ASSERT_THAT(gaps, SizeIs(4));
  EXPECT_THAT(gaps[0].sentence(), HasSubstr("waiting for a CPU is not counted, and when"));
  EXPECT_THAT(gaps[2].sentence(), HasSubstr("the stream's backlog is not seen."));
  EXPECT_THAT(gaps[3].sentence(), HasSubstr("external writers are not named."));
}

TEST(EventFacts, WaitingNeedsTheTracepointAndTheTasksMemoryOfIt) {
  EXPECT_FALSE(FakeTypes().tracepoint("sched_switch").facts().has_switch_hook);
  EXPECT_FALSE(FakeTypes().structure("sched_info", "last_queued").facts().has_switch_hook);
  EXPECT_TRUE(
      FakeTypes().tracepoint("sched_switch").structure("sched_info", "last_queued").facts().has_switch_hook);
}

TEST(EventFacts, APenaltyIsASleepWithinAStall) {
  constexpr const char* kSleep = "schedule_timeout_killable";
  EXPECT_FALSE(FakeTypes().function(kSleep, 1).facts().has_penalty_hook);
  EXPECT_FALSE(FakeTypes().structure("task_struct", "in_memstall").facts().has_penalty_hook);
  EXPECT_TRUE(
      FakeTypes().structure("task_struct", "in_memstall").function(kSleep, 1).facts().has_penalty_hook);
}

TEST(EventFacts, AFieldIsFoundInAnUnnamedStruct) {
  EXPECT_TRUE(FakeTypes()
                  .wrapped("task_struct", "in_memstall")
                  .function("psi_memstall_enter", 1)
                  .function("psi_memstall_leave", 1)
                  .facts()
                  .has_memstall_hooks);
}

TEST(EventFacts, AcceptIsTracedWithTheArgumentsItHas) {
  EXPECT_EQ(FakeTypes().function("inet_csk_accept", 4).facts().accept_arguments, 4);
  EXPECT_EQ(FakeTypes().function("inet_csk_accept", 2).facts().accept_arguments, 2);
  EXPECT_EQ(FakeTypes().function("inet_csk_accept", 3).facts().accept_arguments, 0) << "not known";
}

TEST(EventFacts, AFunctionOfAnotherShapeIsNotTheOne) {
  EXPECT_TRUE(FakeTypes().function("cgroup_file_write", 4).facts().has_write_hook);
  EXPECT_FALSE(FakeTypes().function("cgroup_file_write", 3).facts().has_write_hook);
}

TEST(EventFacts, SocketsNeedTheirIteratorTheirEndAndTheirCgroup) {
  const auto most = [] {
    return std::move(FakeTypes().function("bpf_iter_tcp", 3).structure("tcp_sock", "bytes_received"));
  };
  EXPECT_FALSE(most().tracepoint("inet_sock_set_state").facts().has_sockets());
  EXPECT_FALSE(most().structure("sock_cgroup_data", "cgroup").facts().has_sockets());
  EXPECT_TRUE(
      most().structure("sock_cgroup_data", "cgroup").tracepoint("inet_sock_set_state").facts().has_sockets());
}

}  // namespace
}  // namespace sluice::bpf
