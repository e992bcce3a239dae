#include "daemon/sample/node.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <limits>

namespace sluice::sample {
namespace {

using cgroups::Error;
using cgroups::Fd;
using cgroups::Result;

Result<std::string> read_all(int dir, const char* name) {
  const Fd file(::openat(dir, name, O_RDONLY | O_CLOEXEC));
  if (!file) return tl::unexpected(Error{errno, name, "open procfs's"});
  std::string text;
  std::array<char, std::size_t{16} << 10> chunk;
  for (;;) {
    const ssize_t n = ::read(file.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(Error{errno, name, "read procfs's"});
    if (n == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(n));
  }
}

// The line at the front of `text`, which is moved behind it.
std::string_view take_line(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

Result<Bytes> meminfo(int proc_fd, std::string_view key) {
  return read_all(proc_fd, "meminfo").and_then([&](const std::string& text) {
    return parse_meminfo(text, key);
  });
}

}  // namespace

Result<Bytes> parse_meminfo(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    auto line = take_line(text);
    if (!line.starts_with(key) || !line.substr(key.size()).starts_with(':')) continue;
    line.remove_prefix(key.size() + 1);
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
    Bytes kib = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), kib);
    const std::string_view unit(end, static_cast<std::size_t>(line.data() + line.size() - end));
    if (error != std::errc{} || unit != " kB" || kib > std::numeric_limits<Bytes>::max() / 1024) {
      return tl::unexpected(
          Error{EBADMSG, "meminfo", std::string(key) + " is not a number of kB in procfs's"});
    }
    return kib * 1024;
  }
  return tl::unexpected(Error{EBADMSG, "meminfo", "there is no " + std::string(key) + " in procfs's"});
}

// A kernel without huge pages has no such line.
Result<Bytes> memory_to_share(std::string_view meminfo, std::string& fault) {
  fault.clear();
  auto total = parse_meminfo(meminfo, "MemTotal");
  if (!total || !(meminfo.starts_with("Hugetlb:") || meminfo.find("\nHugetlb:") != std::string_view::npos))
    return total;
  const auto huge = parse_meminfo(meminfo, "Hugetlb");
  if (huge && *huge < *total) return *total - *huge;
  fault = huge ? "/proc/meminfo: Hugetlb is not less than MemTotal" : describe(huge.error());
  fault += "; huge pages are not taken off the memory that tasks share";
  return total;
}

Result<unsigned> parse_online_cpus(std::string_view stat) {
  unsigned cpus = 0;
  while (!stat.empty()) {
    const auto line = take_line(stat);
    if (!line.starts_with("cpu")) break;  // the CPUs come first, and the rest is long
    if (line.size() > 3 && line[3] >= '0' && line[3] <= '9') ++cpus;
  }
  if (cpus == 0) return tl::unexpected(Error{EBADMSG, "stat", "there is no online CPU in procfs's"});
  return cpus;
}

Result<Fd> open_proc(const char* path) {
  Fd fd(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return tl::unexpected(Error{errno, path, "open procfs at"});
  return fd;
}

Result<NodeFacts> node_facts(int proc_fd, std::string* fault) {
  auto cpus =
      read_all(proc_fd, "stat").and_then([](const std::string& text) { return parse_online_cpus(text); });
  if (!cpus) return tl::unexpected(std::move(cpus.error()));
  std::string wrong;
  auto memory = read_all(proc_fd, "meminfo").and_then([&](const std::string& text) {
    return memory_to_share(text, wrong);
  });
  if (fault != nullptr) *fault = std::move(wrong);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  return NodeFacts{.cpu_capacity_cores = static_cast<double>(*cpus),
                   .memory_capacity = *memory,
                   .page_bytes = static_cast<Bytes>(::sysconf(_SC_PAGESIZE))};
}

Result<Bytes> host_swap_free(int proc_fd) {
  return meminfo(proc_fd, "SwapFree");
}

Result<std::string> read_boot_id(int proc_fd) {
  constexpr const char* kName = "sys/kernel/random/boot_id";
  auto text = read_all(proc_fd, kName);
  if (!text) return text;
  if (text->ends_with('\n')) text->pop_back();
  if (text->size() != 36 || text->find_first_not_of("0123456789abcdef-") != std::string::npos) {
    return tl::unexpected(Error{EBADMSG, kName, "not a boot id in procfs's"});
  }
  return text;
}

WallClock wall_clock() {
  ::tzset();  // localtime_r alone would stay in the zone that it met first
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  if (::localtime_r(&now, &local) == nullptr) local.tm_gmtoff = 0;
  return {std::chrono::seconds{now}, std::chrono::seconds{local.tm_gmtoff}};
}

}  // namespace sluice::sample
