// The host on a tree of plain files, with kernel programs whose failures the test sets.
#include "daemon/run/cgroup_host.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "daemon/sample/node.hpp"
#include "tests/unit/cgroups/plain_tree.hpp"
#include "tests/unit/run/fake_programs.hpp"

namespace sluice::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CgroupHostTest : public ::testing::Test {
 protected:
  CgroupHostTest() {
    tree_.make_cgroup("task");
    tree_.put("proc/meminfo", "SwapFree: 0 kB\n");
    proc_ = std::move(sample::open_proc((tree_ / "proc").c_str()).value());
  }

  // As in main: a permanent failure is not tried again.
  void start() {
    CgroupHost::Options options{
        .open_bpf = kernel_.opener(), .proc_fd = proc_.get(), .clock = [this] { return now_; }};
    if (auto programs = options.open_bpf(); programs)
      options.bpf = std::move(*programs);
    else if (bpf::may_pass(programs.error().os_error))
      options.bpf_failure = programs.error();
    host_.emplace(tree_.root(), std::move(options));
    const auto walk = host_->walk();
    ASSERT_TRUE(walk);
    for (const auto& found : walk->cgroups) {
      if (found.path != "/task") continue;
      id_ = found.id;
      ASSERT_TRUE(host_->open(id_, found.path));
    }
    kernel_.ids = {id_.value};
  }
  std::optional<Sample> sample_after(Nsec wait) {
    now_ += wait;
    kernel_.now = now_;
    return host_->sample({&id_, 1}).front();
  }
  // The source of the task's sample at this time.
  SampleSource source_after(Nsec wait) {
    const auto one = sample_after(wait);
    EXPECT_TRUE(one) << "a task is governed, whatever the programs do";
    return one ? one->source : SampleSource::files;
  }
  std::string news() {
    std::string all;
    for (const auto& each : host_->take_bpf_news()) all += (all.empty() ? "" : "|") + each.sentence;
    return all;
  }

  test::PlainTree tree_;
  FakeKernel kernel_;
  cgroups::Fd proc_;
  MonotonicTime now_{1000s};
  CgroupId id_{};
  std::optional<CgroupHost> host_;
};

class PassingFailure : public CgroupHostTest, public ::testing::WithParamInterface<int> {};

TEST_P(PassingFailure, AtStartIsRetriedWithBackOffAndSaid) {
  kernel_.open_error = GetParam();
  start();
  EXPECT_THAT(news(),
              HasSubstr("Loading failed. Cgroups are read through files meanwhile; they are tried again."));
  EXPECT_EQ(source_after(100ms), SampleSource::files);
  EXPECT_EQ(kernel_.opens, 1) << "not before a second has gone by";
  EXPECT_EQ(source_after(1s), SampleSource::files);
  EXPECT_EQ(kernel_.opens, 2);
  EXPECT_EQ(source_after(1s), SampleSource::files);
  EXPECT_EQ(kernel_.opens, 2) << "the second wait is longer";
  EXPECT_EQ(news(), "") << "once";
  kernel_.open_error = 0;
  EXPECT_EQ(source_after(1s), SampleSource::bpf);
  EXPECT_TRUE(host_->samples_by_bpf());
  EXPECT_THAT(news(),
              HasSubstr("work now, after 3 s and 2 failures; meanwhile 3 samples were read from files"));
}
INSTANTIATE_TEST_SUITE_P(Errnos, PassingFailure,
                         ::testing::Values(EAGAIN, ENOMEM, EMFILE, ENFILE, EBUSY, ENOSPC, EINTR));

class LastingFailure : public CgroupHostTest, public ::testing::WithParamInterface<int> {};

TEST_P(LastingFailure, AtStartIsNotRetried) {
  kernel_.open_error = GetParam();
  start();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(source_after(10s), SampleSource::files);
  EXPECT_EQ(kernel_.opens, 1);
  EXPECT_EQ(news(), "") << "main has said it";
}
TEST_P(LastingFailure, OfALaterAttemptEndsThem) {
  kernel_.open_error = EMFILE;
  start();
  EXPECT_NE(news(), "");
  kernel_.open_error = GetParam();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(source_after(10s), SampleSource::files);
  EXPECT_EQ(kernel_.opens, 2);
  EXPECT_EQ(news(), "Loading failed.") << "once, and nobody says that they are tried again";
}
INSTANTIATE_TEST_SUITE_P(Errnos, LastingFailure,
                         ::testing::Values(EPERM, EACCES, EINVAL, ENOENT, ESRCH, ENOSYS, ENOTSUP, 524, 4003));

TEST_F(CgroupHostTest, WhatWorkedOnceIsTriedForEver) {
  start();
  EXPECT_EQ(source_after(100ms), SampleSource::bpf);
  kernel_.read_error = ENODEV;
  kernel_.open_error = EPERM;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(source_after(100s), SampleSource::files);
  kernel_.read_error = kernel_.open_error = 0;
  EXPECT_EQ(source_after(100s), SampleSource::bpf);
  EXPECT_THAT(news(), HasSubstr("work again"));
}

TEST_F(CgroupHostTest, AMissingPartIsMendedBesideThoseThatWork) {
  kernel_.walk_error = ENOMEM;
  start();
  EXPECT_EQ(source_after(100ms), SampleSource::files);
  EXPECT_EQ(news(), "Some kernel programs failed: The walk cannot be loaded. They are tried again.");
  EXPECT_EQ(source_after(1s), SampleSource::files);
  EXPECT_EQ(source_after(1s), SampleSource::files);
  EXPECT_EQ(kernel_.mends, 1) << "the waits grow";
  kernel_.walk_error = 0;
  EXPECT_EQ(source_after(1s), SampleSource::bpf);
  const auto told = host_->take_bpf_news();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].sentence, "All kernel programs work now, after 3 s and 2 failures.");
  EXPECT_TRUE(told[0].reopened) << "their events are to be waited for";
  EXPECT_THAT(told[0].why_not, IsEmpty());
  EXPECT_EQ(kernel_.opens, 1) << "what works is left alone";
  EXPECT_EQ(kernel_.mends, 2);
}

TEST_F(CgroupHostTest, APartThatTheKernelHasNotGotIsNotMended) {
  kernel_.walk_error = EINVAL;
  start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(source_after(100s), SampleSource::files);
  EXPECT_EQ(kernel_.mends, 0);
  EXPECT_EQ(news(), "");
  EXPECT_FALSE(host_->samples_by_bpf());
}

// A frozen task uses no CPU: cgroup.events is read only while it uses none, at once and then once a second.
TEST_F(CgroupHostTest, FrostIsSeenAtOnceAndEndsWithTheFirstUse) {
  const auto uses = [&](int usec) {
    tree_.put("task/cpu.stat", "usage_usec " + std::to_string(usec) + "\nuser_usec " + std::to_string(usec) +
                                   "\nsystem_usec 0\n");
  };
  const auto frozen_after = [&](Nsec wait) {
    const auto one = sample_after(wait);
    EXPECT_TRUE(one);
    return one && one->frozen;
  };
  const auto frozen = [&](int value) {
    tree_.put("task/cgroup.events", "populated 1\nfrozen " + std::to_string(value) + "\n");
  };
  frozen(0);
  start();
  uses(1000);
  EXPECT_FALSE(frozen_after(100ms));
  uses(2000);
  frozen(1);
  EXPECT_FALSE(frozen_after(100ms)) << "it ran since the last sample";
  EXPECT_TRUE(frozen_after(100ms)) << "the first sample without use asks";
  EXPECT_TRUE(frozen_after(100ms));
  EXPECT_TRUE(frozen_after(60s));
  frozen(0);
  EXPECT_TRUE(frozen_after(100ms)) << "the file is not read at every sample";
  EXPECT_FALSE(frozen_after(1s)) << "thawed, and it still sleeps";
  frozen(1);
  EXPECT_TRUE(frozen_after(1s));
  uses(3000);
  EXPECT_FALSE(frozen_after(100ms)) << "who runs is not frozen, whatever was read last";
  tree_.put("task/cgroup.events", "populated 1\n");
  EXPECT_FALSE(frozen_after(100ms)) << "unknown is not frozen";
}

}  // namespace
}  // namespace sluice::testing
