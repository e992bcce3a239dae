// A field of cgroups to sample; created for the benchmark and removed afterwards.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

namespace sluice::bench_signals {

class Field {
 public:
  // Creates a cgroup below `root` with cpu and memory enabled for its children. Throws with the path and the
  // cause.
  explicit Field(const std::filesystem::path& root);
  Field(const Field&) = delete;
  Field& operator=(const Field&) = delete;
  ~Field();

  void grow_to(std::size_t count);
  const std::filesystem::path& path() const { return path_; }
  const std::vector<std::filesystem::path>& cgroups() const { return cgroups_; }

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> cgroups_;
};

}  // namespace sluice::bench_signals
