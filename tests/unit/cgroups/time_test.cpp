#include "cgroups/time.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};

static_assert(!Addable<MonotonicTime, MonotonicTime>, "two points cannot be added");
static_assert(Addable<MonotonicTime, Nsec> && Addable<MonotonicTime, Usec>);
static_assert(!std::is_convertible_v<Nsec, MonotonicTime> && !std::is_convertible_v<MonotonicTime, Nsec>);
static_assert(std::is_same_v<decltype(MonotonicTime{} - MonotonicTime{}), Nsec>);

TEST(Time, SecondsGoBothWays) {
  EXPECT_EQ(in_seconds(Usec{1'500'000}), 1.5);
  EXPECT_EQ(from_seconds(1.5), Nsec{1'500'000'000});
  EXPECT_EQ(since_boot_nsec(7) - MonotonicTime{}, Nsec{7});
  EXPECT_EQ(since_boot(Nsec{9}), since_boot_nsec(9));
}

}  // namespace
}  // namespace sluice
