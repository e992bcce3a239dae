#include "tests/bench/signals/costs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "bpf/loader/source.hpp"

namespace sluice::bench_signals {
namespace {

constexpr std::array kFiles = {"cpu.stat", "cpu.pressure", "memory.pressure", "memory.current",
                               "memory.events"};

constexpr int kWalks = 5;  // per pass over the files, which takes much longer

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path, int flags = O_RDONLY)
      : fd_(open(path.c_str(), flags | O_CLOEXEC)) {
    if (fd_ < 0) give_up("opening " + path.string());
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

void read_once(int fd) {
  char text[4096];
  if (pread(fd, text, sizeof(text), 0) <= 0) give_up("reading a cgroup's file");
}

void allow_descriptors(std::size_t count) {
  const rlimit limit{count, count};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) give_up(fmt::format("asking for {} descriptors", count));
}

template <typename Work>
double ns_of(const Work& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count();
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double slope(const Costs& from, const Costs& to) {
  return std::log(to.walk_ns / from.walk_ns) /
         std::log(static_cast<double>(to.cgroups) / static_cast<double>(from.cgroups));
}

}  // namespace

Costs measure(const Field& field, int rounds) {
  const auto& cgroups = field.cgroups();
  allow_descriptors(cgroups.size() * kFiles.size() + 64);
  std::vector<Descriptor> kept;
  kept.reserve(cgroups.size() * kFiles.size());
  std::vector<std::filesystem::path> names;
  names.reserve(kept.capacity());
  for (const auto& cgroup : cgroups)
    for (const char* file : kFiles) kept.emplace_back(names.emplace_back(cgroup / file));

  const Descriptor root(field.path(), O_RDONLY | O_DIRECTORY);
  bpf::Options options;
  options.throttle = options.flow = options.run_queue = options.memory_stall = options.writer = false;
  options.root_fd = root.get();
  options.record_capacity = static_cast<std::uint32_t>(cgroups.size() + 1);
  auto source = bpf::Source::open(options);
  if (!source) throw std::runtime_error(source.error().sentence);
  if (!source->has_iterator()) throw std::runtime_error(source->why_not());
  constexpr std::uint32_t kAll = SLUICE_HAS_USAGE | SLUICE_HAS_BANDWIDTH | SLUICE_HAS_CPU_PRESSURE |
                                 SLUICE_HAS_MEMORY_PRESSURE | SLUICE_HAS_MEMORY | SLUICE_HAS_MEMORY_EVENTS;
  const auto first = source->read();
  if (!first) throw std::runtime_error(first.error().sentence);
  if (first->size() != cgroups.size() + 1)
    throw std::runtime_error(fmt::format("the walk met {} cgroups of {}", first->size(), cgroups.size() + 1));
  for (const sluice_record& record : *first)
    if ((record.valid & kAll) != kAll)
      throw std::runtime_error("the walk tells less than the files, so the costs do not compare: " +
                               source->why_not());

  // Alternating, with the median of each: other work on the machine disturbs all three alike. With few
  // cgroups a pass is short, so there are more passes.
  std::vector<double> walks_ns, opens_ns, preads_ns;
  const int repeats = rounds * static_cast<int>(std::max<std::size_t>(1, 100 / cgroups.size()));
  for (int i = 0; i < repeats; ++i) {
    opens_ns.push_back(ns_of([&] {
      for (const auto& name : names) read_once(Descriptor(name).get());
    }));
    for (int walk = 0; walk < kWalks; ++walk)
      walks_ns.push_back(ns_of([&] {
        const auto records = source->read();
        if (!records) throw std::runtime_error(records.error().sentence);
      }));
    preads_ns.push_back(ns_of([&] {
      for (const Descriptor& file : kept) read_once(file.get());
    }));
  }
  return {cgroups.size(), median(walks_ns), median(opens_ns), median(preads_ns)};
}

double growth_exponent(const std::vector<Costs>& all) {
  double x_mean = 0, y_mean = 0;
  for (const Costs& c : all) {
    x_mean += std::log(static_cast<double>(c.cgroups)) / static_cast<double>(all.size());
    y_mean += std::log(c.walk_ns) / static_cast<double>(all.size());
  }
  double covariance = 0, variance = 0;
  for (const Costs& c : all) {
    const double x = std::log(static_cast<double>(c.cgroups)) - x_mean;
    covariance += x * (std::log(c.walk_ns) - y_mean);
    variance += x * x;
  }
  return covariance / variance;
}

double steepest_exponent(const std::vector<Costs>& all) {
  double steepest = -INFINITY;
  for (std::size_t i = 1; i < all.size(); ++i) steepest = std::max(steepest, slope(all[i - 1], all[i]));
  return steepest;
}

std::vector<Goal> goals_of(const std::vector<Costs>& all) {
  std::vector<Goal> goals;
  for (const Costs& c : all) {
    if (c.cgroups != 1000) continue;
    goals.push_back(
        {"open, read and close of five files : walk, 1000 cgroups", c.open_read_ratio(), 50, true});
    goals.push_back({"pread of five kept files : walk, 1000 cgroups", c.pread_ratio(), 8, true});
  }
  if (all.size() > 1)
    goals.push_back({fmt::format("growth exponent of the walk's cost, up to {} cgroups", all.back().cgroups),
                     growth_exponent(all), 1.1, false});
  return goals;
}

}  // namespace sluice::bench_signals
