// Pressure files and poll(2).
#include <cstdio>

#include "tests/simhost/conformance.hpp"

namespace conformance {

using Pressure = Conformance;

TEST_F(Pressure, HasItsLines) {
  for (const char* name : {"cpu.pressure", "memory.pressure", "io.pressure"}) {
    const std::string text = read(name);
    double a = 0, b = 0, c = 0;
    unsigned long long some = 0, full = 0;
    EXPECT_EQ(
        std::sscanf(
            text.c_str(),
            "some avg10=%lf avg60=%lf avg300=%lf total=%llu\nfull avg10=%lf avg60=%lf avg300=%lf total=%llu",
            &a, &b, &c, &some, &a, &b, &c, &full),
        8)
        << text;
    EXPECT_EQ(some + full, 0U) << "nothing ever ran here: " << text;
  }
}

TEST_F(Pressure, ATriggerIsPerOpenFile) {
  const Fd first = open_file(file("cpu.pressure"), O_RDWR);
  const Fd second = open_file(file("cpu.pressure"), O_RDWR);
  EXPECT_EQ(write_fd(first.get(), "some 150000 1000000"), 0);
  EXPECT_EQ(write_fd(first.get(), "some 150000 1000000"), EBUSY);
  EXPECT_EQ(write_fd(second.get(), "full 150000 1000000"), 0);
}

TEST_F(Pressure, RefusesMalformedTriggers) {
  for (const char* text :
       {"some", "some 1000", "both 150000 1000000", "some 0 1000000", "some 1000001 1000000",
        "some 150000 10000001", "some x 1000000", "some -1 1000000", "\n"}) {
    EXPECT_EQ(write("cpu.pressure", text), EINVAL) << text;
  }
  EXPECT_EQ(write("cpu.pressure", ""), 0);
  EXPECT_EQ(write("memory.pressure", "some 1000000 1000000"), 0);
  EXPECT_EQ(write("io.pressure", "full 500000 10000000\n"), 0);
}

TEST_F(Pressure, WindowsHaveASmallestLength) {
  if (options().psi_window_min_usec == 0)
    GTEST_SKIP() << "--psi-window-min-usec is not given: it differs by kernel";
  const std::string least = std::to_string(options().psi_window_min_usec);
  const std::string less = std::to_string(options().psi_window_min_usec - 1);
  EXPECT_EQ(write("cpu.pressure", "some 1 " + least), 0);
  EXPECT_EQ(write("cpu.pressure", "some 1 " + less), EINVAL);
}

TEST_F(Pressure, PollWithoutATriggerIsAnError) {
  const Fd fd = open_file(file("cpu.pressure"), O_RDWR);
  EXPECT_EQ(poll_now(fd.get()), POLLERR | POLLPRI);
}

TEST_F(Pressure, AnIdleTriggerStaysSilent) {
  const Fd fd = open_file(file("cpu.pressure"), O_RDWR);
  ASSERT_EQ(write_fd(fd.get(), "some 150000 1000000"), 0);
  EXPECT_EQ(poll_now(fd.get(), 300), 0);
}

TEST_F(Pressure, EventFilesAlarmUntilTheyAreRead) {
  for (const char* name : {"memory.events", "cgroup.events"}) {
    const Fd fd = open_file(file(name));
    EXPECT_EQ(poll_now(fd.get()), POLLERR | POLLPRI) << name << ": never read, so it may have changed";
    ASSERT_EQ(read_errno(fd.get()), 0);
    EXPECT_EQ(poll_now(fd.get()), 0) << name;
  }
}

TEST_F(Pressure, RemovalAlarmsWhoHoldsTheFile) {
  ASSERT_EQ(mkdir(file("child").c_str(), 0755), 0);
  const Fd events = open_file(file("child/cgroup.events"));
  const Fd pressure = open_file(file("child/cpu.pressure"), O_RDWR);
  ASSERT_EQ(write_fd(pressure.get(), "some 150000 1000000"), 0);
  ASSERT_EQ(read_errno(events.get()), 0);
  ASSERT_EQ(poll_now(events.get()), 0);
  ASSERT_EQ(rmdir(file("child").c_str()), 0);
  EXPECT_EQ(poll_now(events.get(), 1'000), POLLERR | POLLPRI);
  EXPECT_EQ(poll_now(pressure.get(), 1'000), POLLERR | POLLPRI);
}

}  // namespace conformance
