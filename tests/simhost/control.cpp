#include "tests/simhost/control.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <vector>

#include "tests/simhost/scenario.hpp"

namespace sluice::simhost {
namespace {

using Words = std::vector<std::string>;

Words split(std::string_view line) {
  Words out;
  std::size_t at = 0;
  while (at < line.size()) {
    const auto end = std::min(line.find(' ', at), line.size());
    if (end > at) out.emplace_back(line.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

bool to_int(const std::string& text, int& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

bool to_double(const std::string& text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string error(const std::string& why) {
  return "error " + why;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += fmt::format("\\{}", c);
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string stats_json(Host& host) {
  std::string tasks;
  for (const auto& task : host.tasks()) {
    const TaskStats s = host.stats(task->cgroup->id);
    if (!tasks.empty()) tasks += ",";
    tasks += fmt::format(
        "{{\"cgroup\":{},\"id\":{},\"pid\":{},\"alive\":{},\"load_records_per_s\":{:.2f},\"arrivals\":{},"
        "\"finished\":{},\"backlog\":{},\"backlog_cpu_usec\":{:.0f},\"oldest_age_usec\":{:.0f},"
        "\"delay_p50_usec\":{:.0f},\"delay_p99_usec\":{:.0f},\"delay_worst_usec\":{:.0f},\"late_share\":{:."
        "6f},"
        "\"usage_usec\":{:.0f},\"granted_usec\":{:.0f},\"allocated_cores\":{:.4f},\"q10_cores\":{:.4f},"
        "\"observed_usec\":{:.0f},\"throttles\":{},\"memory_stall_share\":{:.6f},\"memory_mean_bytes\":{:.0f}"
        "}}",
        json_string(task->cgroup->path()), task->cgroup->id.value, task->pid, s.alive,
        task->work.spec().load.at(static_cast<double>(host.now().count()) / 1e6), s.arrivals, s.finished,
        s.backlog, s.backlog_cpu_usec, s.oldest_age_usec, s.delay_p50_usec, s.delay_p99_usec,
        s.delay_worst_usec, s.late_share, s.usage_usec, s.granted_usec, s.allocated_cores, s.q10_cores,
        s.observed_usec, s.throttles, s.memory_stall_share, s.memory_mean_bytes);
  }
  return fmt::format("{{\"now_usec\":{},\"cpus\":{},\"memory_bytes\":{},\"tasks\":[{}]}}", host.now().count(),
                     host.spec().cpus, host.spec().memory, tasks);
}

// "add PATH key=value ..." and "set PATH key=value ..."
std::string apply_keys(TaskSpec& spec, const Words& words) {
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto equals = words[i].find('=');
    if (equals == std::string::npos) return error("'" + words[i] + "' is not key=value");
    const std::string key = words[i].substr(0, equals);
    if (auto set = set_task_key(spec, key, words[i].substr(equals + 1)); !set)
      return error(key + ": " + set.error());
  }
  return "";
}

std::string add_task(Host& host, const Words& words) {
  TaskSpec spec;
  spec.cgroup = words[1];
  if (auto failed = apply_keys(spec, words); !failed.empty()) return failed;
  const auto added = host.add_task(spec);
  return added ? fmt::format("ok {}", added->value) : error(added.error());
}

std::string set_task(Host& host, Cgroup& cgroup, const Words& words) {
  if (cgroup.task == nullptr) return error("there is no task in '" + words[1] + "'");
  TaskSpec spec = cgroup.task->spec;
  if (auto failed = apply_keys(spec, words); !failed.empty()) return failed;
  if (spec.cgroup != cgroup.task->spec.cgroup)
    return error("a task cannot be moved by set; write cgroup.procs");
  cgroup.task->spec = spec;
  cgroup.task->work.set_spec(spec.work, static_cast<double>(host.now().count()));
  cgroup.task->memory.set_spec(spec.memory);
  return "ok";
}

// "fault PATH FILE KIND N"
std::string set_fault(FuseFs& fs, Cgroup& cgroup, const Words& words) {
  if (words.size() != 5)
    return error("usage: fault PATH FILE write_errno|read_errno|block_ms|hang_after|hang_before NUMBER");
  const auto file = find_file(cgroup, words[2]);
  if (!file) return error("'" + words[1] + "' has no file '" + words[2] + "'");
  Faults faults;
  int number = 0;
  if (!to_int(words[4], number) || number < 0)
    return error("'" + words[4] + "' is not a number of 0 or more");
  if (words[3] == "write_errno")
    faults.write_errno = number;
  else if (words[3] == "read_errno")
    faults.read_errno = number;
  else if (words[3] == "block_ms")
    faults.block_ms = number;
  else if (words[3] == "hang_after")
    faults.hang_after = number != 0;
  else if (words[3] == "hang_before")
    faults.hang_before = number != 0;
  else
    return error("the fault must be write_errno, read_errno, block_ms, hang_after or hang_before");
  fs.set_fault(cgroup, *file, faults);
  return "ok";
}

// "psi PATH cpu|memory|io SOME_SHARE [FULL_SHARE]"
std::string force_psi(Cgroup& cgroup, const Words& words) {
  static const std::map<std::string, Resource> kResources{
      {"cpu", Resource::cpu}, {"memory", Resource::memory}, {"io", Resource::io}};
  double some = 0;
  double full = 0;
  if (words.size() < 4 || !kResources.contains(words[2]) || !to_double(words[3], some) ||
      (words.size() > 4 && !to_double(words[4], full))) {
    return error("usage: psi PATH cpu|memory|io SOME_SHARE [FULL_SHARE], shares from 0 to 1");
  }
  cgroup.psi(kResources.at(words[2])).force(some, full);
  return "ok";
}

// Replaces "start=now" of a load by the current model time.
void resolve_now(Words& words, const Host& host) {
  for (std::string& word : words) {
    const auto at = word.find("start=now");
    if (at != std::string::npos)
      word.replace(at + 6, 3, fmt::format("{}", static_cast<double>(host.now().count()) / 1e6));
  }
}

std::string run(FuseFs& fs, Host& host, Words words) {
  resolve_now(words, host);
  if (words.empty()) return error("an empty line; see tests/simhost/README.md for the commands");
  const std::string& command = words[0];
  if (command == "ping") return "ok";
  if (command == "stats") return stats_json(host);
  if (command == "reset-stats") return host.reset_stats(), "ok";
  if (words.size() < 2) return error("'" + command + "' needs a cgroup path");
  if (command == "add") return add_task(host, words);
  if (command == "mkdir") {
    const auto made = host.make_path(words[1]);
    return made ? fmt::format("ok {}", (*made)->id.value) : error("'" + words[1] + "' is no valid path");
  }
  Cgroup* cgroup = host.find(words[1]);
  if (cgroup == nullptr) return error("there is no cgroup '" + words[1] + "'");
  if (command == "set") return set_task(host, *cgroup, words);
  if (command == "fault") return set_fault(fs, *cgroup, words);
  if (command == "psi") return force_psi(*cgroup, words);
  if (command == "kill") return host.remove_task(cgroup->id), "ok";
  if (command == "fire") {
    const auto file = words.size() > 2 ? find_file(*cgroup, words[2]) : std::nullopt;
    if (words.size() > 2 && !file) return error("'" + words[1] + "' has no file '" + words[2] + "'");
    return fs.wake(*cgroup, file), "ok";
  }
  if (command == "rm") {
    if (cgroup->parent == nullptr) return error("the root stays");
    // Pollers of its files must be woken before the names are gone.
    std::vector<CgroupId> gone;
    each(*cgroup, [&](Cgroup& at) { gone.push_back(at.id); });
    host.destroy_cgroup(*cgroup);
    fs.wake_removed(gone);
    return "ok";
  }
  return error("'" + command + "' is not a command; see tests/simhost/README.md");
}

}  // namespace

std::string Control::answer(std::string_view line) {
  std::string out;
  fs_.with_host([&](Host& host) { out = run(fs_, host, split(line)); });
  return out;
}

tl::expected<void, std::string> Control::listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return tl::unexpected("control socket '" + path + "': the path is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const auto fail = [&](const char* what) {
    return tl::unexpected("control socket '" + path + "': " + what + ": " + std::strerror(errno));
  };
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener_ < 0) return fail("socket");
  unlink(path.c_str());
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return fail("bind");
  if (::listen(listener_, 16) != 0) return fail("listen");
  path_ = path;
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { serve(); });
  return {};
}

Control::~Control() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(stop_fd_, &one, sizeof one);
    thread_.join();
    unlink(path_.c_str());
  }
  if (listener_ >= 0) close(listener_);
  if (stop_fd_ >= 0) close(stop_fd_);
}

void Control::serve() {
  std::map<int, std::string> clients;  // the incomplete line of each client
  for (;;) {
    std::vector<pollfd> fds{{stop_fd_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& [fd, text] : clients) fds.push_back({fd, POLLIN, 0});
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) break;
    if (fds[1].revents != 0) {
      const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client >= 0) clients.emplace(client, "");
    }
    for (std::size_t i = 2; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = read(fds[i].fd, buffer, sizeof buffer);
      if (got <= 0) {
        close(fds[i].fd);
        clients.erase(fds[i].fd);
        continue;
      }
      std::string& text = clients[fds[i].fd];
      text.append(buffer, static_cast<std::size_t>(got));
      for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
        const std::string reply = answer(std::string_view(text).substr(0, end)) + "\n";
        [[maybe_unused]] const auto sent = send(fds[i].fd, reply.data(), reply.size(), MSG_NOSIGNAL);
      }
    }
  }
  for (const auto& [fd, text] : clients) close(fd);
}

}  // namespace sluice::simhost
