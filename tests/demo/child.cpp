#include "tests/demo/child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

namespace sluice::demo {
namespace {

// Between fork and exec, in a process with threads: system calls only.
[[noreturn]] void become(char* const* arguments, int log, int failed, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // A group of its own: Ctrl-C is for the demo, which then ends the others in order.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int null = open("/dev/null", O_RDONLY);
  if (getppid() == parent && null >= 0 && dup2(null, 0) >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0) {
    execvp(arguments[0], arguments);
  }
  const int error = errno;
  [[maybe_unused]] const auto told = write(failed, &error, sizeof error);
  _exit(127);
}

}  // namespace

tl::expected<Child, std::string> Child::start(const std::vector<std::string>& command,
                                              const std::string& log) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd < 0) return tl::unexpected("cannot write '" + log + "': " + std::strerror(errno));
  std::array<int, 2> failed{};  // closed by a successful exec; otherwise it brings the errno
  if (pipe2(failed.data(), O_CLOEXEC) != 0) {
    close(log_fd);
    return tl::unexpected(std::string("pipe: ") + std::strerror(errno));
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) become(arguments.data(), log_fd, failed[1], parent);
  close(log_fd);
  close(failed[1]);
  int error = pid < 0 ? errno : 0;
  if (pid > 0 && read(failed[0], &error, sizeof error) > 0) waitpid(pid, nullptr, 0);
  close(failed[0]);
  if (error != 0) return tl::unexpected("cannot run '" + command.front() + "': " + std::strerror(error));
  return Child(pid);
}

Child::~Child() {
  if (pid_ > 0) stop(std::chrono::milliseconds(0));
}

bool Child::reap(int options) {
  int raw = 0;
  pid_t got = 0;
  do {
    got = waitpid(pid_, &raw, options);
  } while (got < 0 && errno == EINTR);
  if (got != pid_) return false;
  status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  pid_ = -1;
  return true;
}

bool Child::running() {
  return pid_ > 0 && !reap(WNOHANG);
}

int Child::stop(std::chrono::milliseconds patience) {
  if (pid_ > 0) {
    kill(pid_, patience.count() > 0 ? SIGTERM : SIGKILL);
    const auto until = std::chrono::steady_clock::now() + patience;
    while (running() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      reap(0);
    }
  }
  return status_.value_or(-1);
}

}  // namespace sluice::demo
