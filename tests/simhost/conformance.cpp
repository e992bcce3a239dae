// simhost_conformance: checks the simulated host's promises about cgroup files on any cgroup2 tree.
//   simhost_conformance --root DIR [--control SOCK] [--psi-window-min-usec N] [gtest flags]
#include "tests/simhost/conformance.hpp"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace conformance {

Options& options() {
  static Options value;
  return value;
}

Fd open_file(const std::string& path, int flags) {
  return Fd(open(path.c_str(), flags | O_CLOEXEC));
}

int write_fd(int fd, std::string_view data) {
  const ssize_t written = ::write(fd, data.data(), data.size());
  if (written < 0) return errno;
  EXPECT_EQ(static_cast<std::size_t>(written), data.size());
  return 0;
}

int write_to(const std::string& path, std::string_view data) {
  const Fd fd = open_file(path, O_WRONLY);
  return fd.get() < 0 ? errno : write_fd(fd.get(), data);
}

std::string read_from(const std::string& path) {
  const Fd fd = open_file(path);
  EXPECT_GE(fd.get(), 0) << path << ": " << std::strerror(errno);
  std::string out;
  char buffer[4096];
  ssize_t got = 0;
  while (fd.get() >= 0 && (got = ::read(fd.get(), buffer, sizeof buffer)) > 0) {
    out.append(buffer, static_cast<std::size_t>(got));
  }
  EXPECT_GE(got, 0) << path << ": " << std::strerror(errno);
  return out;
}

int read_errno(int fd) {
  char buffer[64];
  return pread(fd, buffer, sizeof buffer, 0) < 0 ? errno : 0;
}

short poll_now(int fd, int timeout_ms) {
  pollfd wanted{fd, POLLPRI, 0};
  const int ready = ::poll(&wanted, 1, timeout_ms);
  return ready > 0 ? wanted.revents : short{0};
}

std::uint64_t field(const std::string& path, std::string_view key) {
  const std::string text = "\n" + read_from(path);
  const std::string wanted = "\n" + std::string(key) + " ";
  const auto at = text.find(wanted);
  EXPECT_NE(at, std::string::npos) << path << " has no " << key;
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + wanted.size(), nullptr, 10);
}

std::uint64_t psi_total(const std::string& path, std::string_view line) {
  const std::string text = read_from(path);
  const auto begin = text.find(std::string(line) + " ");
  const auto at = begin == std::string::npos ? begin : text.find("total=", begin);
  EXPECT_NE(at, std::string::npos) << path << ": " << text;
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 6, nullptr, 10);
}

std::set<std::string> list(const std::string& directory) {
  std::set<std::string> out;
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return out;
  while (const dirent* entry = readdir(dir)) out.insert(entry->d_name);
  closedir(dir);
  return out;
}

std::uint64_t inode(const std::string& path) {
  struct stat attr {};
  EXPECT_EQ(stat(path.c_str(), &attr), 0) << path << ": " << std::strerror(errno);
  return attr.st_ino;
}

bool capable(int capability) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("CapEff:"))
      return ((std::strtoull(line.c_str() + 7, nullptr, 16) >> capability) & 1) != 0;
  }
  return false;
}

std::string control(const std::string& line) {
  const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, options().control.c_str(), sizeof address.sun_path - 1);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ADD_FAILURE() << "control socket " << options().control << ": " << std::strerror(errno);
    return "";
  }
  EXPECT_EQ(write_fd(fd.get(), line + "\n"), 0);
  std::string answer;
  char c = 0;
  while (::read(fd.get(), &c, 1) == 1 && c != '\n') answer += c;
  EXPECT_NE(answer.substr(0, 5), "error") << line << ": " << answer;
  return answer;
}

namespace {
std::string home() {
  return options().root + "/sluice-conformance";
}
int number = 0;  // gives each test's cgroup its own name
bool added_to_root[2] = {false, false};
constexpr const char* kControllers[2] = {"cpu", "memory"};

bool enables(const std::string& text, std::string_view controller) {
  return (" " + text).find(" " + std::string(controller)) != std::string::npos;
}
}  // namespace

bool prepare() {
  const auto fail = [](const std::string& why) {
    std::fprintf(stderr, "simhost_conformance: %s\n", why.c_str());
    return false;
  };
  const std::string root_control = options().root + "/cgroup.subtree_control";
  if (access((options().root + "/cgroup.controllers").c_str(), R_OK) != 0) {
    return fail("--root '" + options().root + "' is no cgroup2 tree: it has no cgroup.controllers");
  }
  for (int i = 0; i < 2; ++i) {
    if (enables(read_from(root_control), kControllers[i])) continue;
    if (const int error = write_to(root_control, std::string("+") + kControllers[i]); error != 0) {
      return fail(root_control + ": cannot enable " + kControllers[i] + ": " + std::strerror(error));
    }
    added_to_root[i] = true;
  }
  remove_tree(home());
  if (mkdir(home().c_str(), 0755) != 0) return fail(home() + ": " + std::strerror(errno));
  if (const int error = write_to(home() + "/cgroup.subtree_control", "+cpu +memory"); error != 0) {
    return fail(home() + "/cgroup.subtree_control: " + std::strerror(error));
  }
  return true;
}

void remove_tree(const std::string& directory) {
  for (const std::string& name : list(directory)) {
    struct stat attr {};
    const std::string path = directory + "/" + name;
    if (name == "." || name == ".." || lstat(path.c_str(), &attr) != 0 || !S_ISDIR(attr.st_mode)) continue;
    remove_tree(path);
  }
  rmdir(directory.c_str());
}

void clean_up() {
  remove_tree(home());
  for (int i = 0; i < 2; ++i) {
    if (added_to_root[i])
      write_to(options().root + "/cgroup.subtree_control", std::string("-") + kControllers[i]);
  }
}

void Conformance::SetUp() {
  cgroup = home() + "/t" + std::to_string(++number);
  ASSERT_EQ(mkdir(cgroup.c_str(), 0755), 0) << cgroup << ": " << std::strerror(errno);
}

void Conformance::TearDown() {
  remove_tree(cgroup);
  EXPECT_NE(access(cgroup.c_str(), F_OK), 0) << cgroup << " could not be removed: " << std::strerror(errno);
}

}  // namespace conformance

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  auto& options = conformance::options();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--root")
      options.root = value;
    else if (name == "--control")
      options.control = value;
    else if (name == "--psi-window-min-usec")
      options.psi_window_min_usec = std::strtoull(value.c_str(), nullptr, 10);
    else
      options.root.clear(), argc = 0;
  }
  if (options.root.empty() || argc % 2 == 0) {
    std::fprintf(stderr,
                 "usage: simhost_conformance --root DIR [--control SOCK] [--psi-window-min-usec N]\n");
    return 2;
  }
  while (options.root.size() > 1 && options.root.back() == '/') options.root.pop_back();
  if (!conformance::prepare()) return 2;
  if (options.control.empty()) {
    // Excluded, not skipped: a real kernel cannot inject faults.
    auto& filter = ::testing::GTEST_FLAG(filter);
    filter += (filter.find('-') == std::string::npos ? "-" : ":") + std::string("Faults.*");
  }
  const int result = RUN_ALL_TESTS();
  conformance::clean_up();
  return result;
}
