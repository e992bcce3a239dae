// Kernel programs without a kernel: what the loader would return, and records from a tree of plain files.
#pragma once

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "bpf/loader/kernel_programs.hpp"
#include "daemon/run/cgroup_host.hpp"

namespace sluice::testing {

// A kernel on which programs may fail. It outlives them.
struct FakeKernel {
  int open_error = 0;              // of the next attempts to load anything; 0: none
  int walk_error = 0;              // of loading the walk only
  int read_error = 0;              // of walks
  std::vector<std::uint64_t> ids;  // of the cgroups
  MonotonicTime now{};
  int opens = 0, mends = 0, reads = 0;

  CgroupHost::OpenPrograms opener();
};

class FakePrograms final : public bpf::KernelPrograms {
 public:
  explicit FakePrograms(FakeKernel& kernel) : kernel_(kernel) { load(); }

  bool has_iterator() const override { return walks_; }
  bool has_throttle() const override { return true; }
  std::vector<std::string> capabilities() const override { return {"fake"}; }
  const std::string& why_not() const override { return why_not_; }
  bool incomplete() const override { return bpf::may_pass(error_); }
  bool mend() override {
    ++kernel_.mends;
    return load();
  }
  tl::expected<std::span<const sluice_record>, bpf::Error> read() override {
    ++kernel_.reads;
    if (kernel_.read_error != 0) return tl::unexpected(bpf::Error{"walking", kernel_.read_error});
    records_.clear();
    for (const auto id : kernel_.ids) {
      auto& record = records_.emplace_back();
      record.cgroup_id = id;
      record.at_ktime_ns = static_cast<std::uint64_t>(kernel_.now.time_since_epoch().count());
    }
    return std::span<const sluice_record>(records_);
  }
  int events_fd() const override { return -1; }
  tl::expected<std::size_t, bpf::Error> drain(const EventHandler&, const WriteHandler&) override { return 0; }
  std::span<const sluice_counters> counters() override { return {}; }
  std::uint64_t idle_until(std::uint64_t, std::uint64_t) const override { return 0; }
  std::uint32_t awake_threads(std::uint64_t) const override { return 0; }
  tl::expected<void, bpf::Error> set_governed(std::span<const std::uint64_t>) override { return {}; }
  bpf::Stats stats() const override { return {}; }

 private:
  bool load() {
    const bool more = !walks_ && kernel_.walk_error == 0;
    error_ = walks_ ? 0 : kernel_.walk_error;
    walks_ = walks_ || more;
    why_not_ = walks_ ? "" : "The walk cannot be loaded.";
    return more;
  }
  FakeKernel& kernel_;
  bool walks_ = false;
  int error_ = 0;
  std::string why_not_;
  std::vector<sluice_record> records_;
};

inline CgroupHost::OpenPrograms FakeKernel::opener() {
  return [this]() -> tl::expected<std::unique_ptr<bpf::KernelPrograms>, bpf::Error> {
    ++opens;
    if (open_error != 0) return tl::unexpected(bpf::Error{"Loading failed.", open_error});
    return std::make_unique<FakePrograms>(*this);
  };
}

}  // namespace sluice::testing
