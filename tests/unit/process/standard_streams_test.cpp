#include "daemon/process/standard_streams.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <iostream>

namespace sluice::process {
namespace {

// Runs `work` in its own process with these descriptors closed, and all above 2, which the parent may have
// left open. Returns the exit status.
int apart(std::initializer_list<int> closed, const std::function<int()>& work) {
  std::fflush(nullptr);  // otherwise the child would print this process's buffered output too
  const pid_t child = ::fork();
  if (child == 0) {
    ::close_range(3, ~0U, 0);
    for (const int fd : closed) ::close(fd);
    ::_exit(work());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(StandardStreams, AClosedOneGivesItsNumberToNobody) {
  for (const int fd : {0, 1, 2}) {
    EXPECT_EQ(apart({fd},
                    [] {
                      open_closed_streams();
                      return ::open("/dev/null", O_RDONLY) > 2 ? 0 : 1;
                    }),
              0)
        << fd;
  }
  EXPECT_EQ(apart({0, 1, 2},
                  [] {
                    open_closed_streams();
                    return ::open("/dev/null", O_RDONLY) == 3 ? 0 : 1;
                  }),
            0)
      << "and opens none that is not needed";
}

TEST(StandardStreams, WhatIsWrittenToAClosedOneStillFails) {
  EXPECT_EQ(apart({1, 2},
                  [] {
                    open_closed_streams();
                    const bool fails = ::write(1, "x", 1) < 0 && errno == EBADF && ::write(2, "x", 1) < 0;
                    complain("to nobody");
                    std::fputs("to nobody", stdout);
                    return fails && !output_arrived() ? 0 : 1;
                  }),
            0);
}

TEST(StandardStreams, AnOpenOneStaysAsItIs) {
  EXPECT_EQ(apart({0},
                  [] {
                    const int pipe_end = ::fcntl(1, F_GETFL);
                    open_closed_streams();
                    return ::fcntl(1, F_GETFL) == pipe_end ? 0 : 1;
                  }),
            0);
}

TEST(StandardStreams, OutputThatIsLostIsNoticedHoweverItIsPrinted) {
  const auto to_a_full_disk = [](const std::function<void()>& print) {
    return apart({1}, [&] {
      ::open("/dev/full", O_WRONLY);
      print();
      return output_arrived() ? 1 : 0;
    });
  };
  EXPECT_EQ(to_a_full_disk([] { std::fputs("x", stdout); }), 0);
  EXPECT_EQ(to_a_full_disk([] { std::cout << "x" << std::flush; }), 0);
  EXPECT_EQ(to_a_full_disk([] {}), 1) << "nothing was printed, nothing is lost";
}

TEST(RefusedWrites, APipeThatNobodyReadsIsAnErrorOfTheWrite) {
  EXPECT_EQ(apart({},
                  [] {
                    survive_refused_writes();
                    int ends[2];
                    if (::pipe(ends) != 0) return 1;
                    ::close(ends[0]);
                    return ::write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 2;
                  }),
            0);
}

TEST(RefusedWrites, TheLimitOfAFilesSizeIsAnErrorOfTheWrite) {
  EXPECT_EQ(apart({},
                  [] {
                    survive_refused_writes();
                    const rlimit none{0, 0};
                    ::setrlimit(RLIMIT_FSIZE, &none);
                    std::FILE* file = std::tmpfile();
                    if (file == nullptr) return 1;
                    return ::write(::fileno(file), "x", 1) == -1 && errno == EFBIG ? 0 : 2;
                  }),
            0);
}

}  // namespace
}  // namespace sluice::process
