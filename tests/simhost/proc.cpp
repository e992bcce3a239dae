#include "tests/simhost/proc.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>

namespace sluice::simhost {
namespace {

namespace fs = std::filesystem;

tl::expected<void, std::string> write_text(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << text;
    if (!file.flush()) return tl::unexpected("cannot write '" + fresh + "'");
  }
  std::error_code error;
  fs::rename(fresh, path, error);
  if (error) return tl::unexpected("cannot put '" + path + "' in its place: " + error.message());
  return {};
}

std::string stat_text(double cpus) {
  // The daemon may not count on a fraction of a core.
  const auto count = std::max(1.0, std::floor(cpus));
  std::string text = "cpu  0 0 0 0 0 0 0 0 0 0\n";
  for (int i = 0; i < static_cast<int>(count); ++i) text += fmt::format("cpu{} 0 0 0 0 0 0 0 0 0 0\n", i);
  return text + "intr 0\nctxt 0\nbtime 0\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n";
}

std::string meminfo_text(Host& host) {
  const auto kib = [](double bytes) { return static_cast<std::uint64_t>(bytes / 1024); };
  const auto total = static_cast<double>(host.spec().memory);
  const double left = std::max(0.0, total - host.root().memory_current);
  return fmt::format(
      "MemTotal: {:15} kB\nMemFree: {:16} kB\nMemAvailable: {:11} kB\nSwapTotal: {:14} kB\nSwapFree: {:15} "
      "kB\n",
      kib(total), kib(left), kib(left + host.root().file_cold), kib(static_cast<double>(host.spec().swap)),
      kib(host.swap_free()));
}

}  // namespace

tl::expected<Proc, std::string> Proc::create(const std::string& folder, Host& host) {
  std::error_code error;
  for (const char* part : {"sys/kernel/random", "pressure"}) {
    fs::create_directories(fs::path(folder) / part, error);
    if (error) return tl::unexpected("cannot make '" + folder + "/" + part + "': " + error.message());
  }
  std::string boot_id;
  if (!std::getline(std::ifstream("/proc/sys/kernel/random/uuid"), boot_id))
    return tl::unexpected(std::string("cannot read /proc/sys/kernel/random/uuid"));

  Proc proc(folder);
  const std::string quiet = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
  const std::pair<const char*, std::string> files[] = {
      {"/stat", stat_text(host.spec().cpus)},
      {"/sys/kernel/random/boot_id", boot_id + "\n"},
      {"/pressure/cpu", quiet},
      {"/pressure/io", quiet},
      {"/pressure/memory", quiet},
  };
  for (const auto& [name, text] : files) {
    if (auto written = write_text(folder + name, text); !written) return tl::unexpected(written.error());
  }
  if (auto written = proc.refresh(host); !written) return tl::unexpected(written.error());
  return proc;
}

tl::expected<void, std::string> Proc::refresh(Host& host) {
  std::string text = meminfo_text(host);
  if (text == meminfo_) return {};
  meminfo_ = std::move(text);
  return write_text(folder_ + "/meminfo", meminfo_);
}

}  // namespace sluice::simhost
