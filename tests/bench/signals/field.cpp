#include "tests/bench/signals/field.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace sluice::bench_signals {
namespace {

void make(const std::filesystem::path& path) {
  if (mkdir(path.c_str(), 0755) != 0)
    throw std::runtime_error(fmt::format("making the cgroup {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace

Field::Field(const std::filesystem::path& root) : path_(root / "sluice-bench") {
  make(path_);
  std::ofstream control(path_ / "cgroup.subtree_control");
  if (!(control << "+cpu +memory" << std::flush)) {
    rmdir(path_.c_str());
    throw std::runtime_error(fmt::format(
        "{} has no cpu and memory controllers for its children; enable them: echo '+cpu +memory' > "
        "{}/cgroup.subtree_control",
        root.string(), root.string()));
  }
}

Field::~Field() {
  for (const auto& cgroup : cgroups_) rmdir(cgroup.c_str());
  if (rmdir(path_.c_str()) != 0)
    fmt::print(stderr, "removing the cgroup {}: {}\n", path_.string(), std::strerror(errno));
}

void Field::grow_to(std::size_t count) {
  cgroups_.reserve(count);
  while (cgroups_.size() < count) {
    auto path = path_ / fmt::format("c{}", cgroups_.size());
    make(path);
    cgroups_.push_back(std::move(path));
  }
}

}  // namespace sluice::bench_signals
