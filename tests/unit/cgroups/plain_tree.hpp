// A directory of plain files that replaces cgroupfs where errnos do not matter. Empty at first, removed at
// the end.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cgroups/root.hpp"

namespace sluice::test {

class PlainTree {
 public:
  PlainTree() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  PlainTree(const PlainTree&) = delete;
  PlainTree& operator=(const PlainTree&) = delete;
  ~PlainTree() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  // Written in place, as the kernel's files change: an open descriptor sees the new text.
  void put(std::string_view name, std::string_view text) const {
    const std::filesystem::path file = *this / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
  }
  [[nodiscard]] std::string get(std::string_view name) const {
    std::ostringstream text;
    text << std::ifstream(*this / name, std::ios::binary).rdbuf();
    return text.str();
  }
  void make_dir(std::string_view name) const { std::filesystem::create_directories(*this / name); }
  void remove(std::string_view name) const { std::filesystem::remove_all(*this / name); }
  [[nodiscard]] bool exists(std::string_view name) const { return std::filesystem::exists(*this / name); }

  // Creates the files that every cgroup has, and both knobs.
  void make_cgroup(std::string_view name) const {
    const std::string dir(name);
    put(dir + "/cpu.stat", "usage_usec 0\nuser_usec 0\nsystem_usec 0\n");
    put(dir + "/cpu.max", "max 100000\n");
    put(dir + "/memory.high", "max\n");
  }

  [[nodiscard]] cgroups::Root root() const {
    return std::move(cgroups::Root::open(path_, cgroups::Verify::none).value());
  }

 private:
  std::string path_;
};

}  // namespace sluice::test
