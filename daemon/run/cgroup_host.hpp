// The real host: cgroupfs through directory descriptors, samples from the kernel programs or from files,
// orders carried out by the actuator's threads. The engine's thread only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bpf/loader/source.hpp"
#include "cgroups/root.hpp"
#include "daemon/actuate/actuator.hpp"
#include "daemon/run/host.hpp"

namespace sluice {

class CgroupHost final : public Host {
 public:
  struct Options {
    std::optional<bpf::Source> bpf;  // none: samples are read from files
    int proc_fd = -1;                // of procfs; borrowed
    std::function<MonotonicTime()> clock;
  };
  CgroupHost(cgroups::Root root, Options options);

  cgroups::Result<cgroups::Walk> walk() override;
  cgroups::Result<void> open(CgroupId id, const std::string& path) override;
  bool alive(CgroupId id) override;
  void close(CgroupId id) override;
  std::uint64_t tree_stamp() const override { return tree_stamp_; }
  std::vector<std::optional<Sample>> sample(std::span<const CgroupId> ids) override;
  void submit(std::vector<Write> orders) override;
  std::vector<Receipt> receipts() override;

  // Readable while there are receipts; owned by the actuator.
  [[nodiscard]] int receipts_fd() const { return actuator_.wake_fd(); }
  [[nodiscard]] bpf::Source* bpf() { return options_.bpf ? &*options_.bpf : nullptr; }
  // The kernel programs failed: files are read from now on.
  void lose_bpf() {
    options_.bpf.reset();
    tree_stamp_ = 0;
  }
  // Set when sample() had to do that; a whole sentence, once.
  std::optional<std::string> take_bpf_failure() { return std::exchange(bpf_failure_, std::nullopt); }

 private:
  struct Opened {
    cgroups::CgroupRef cgroup;
    bool cpu_absent = false, memory_absent = false;  // when last looked at
  };
  bool sample_by_bpf(std::span<const CgroupId> ids, std::vector<std::optional<Sample>>& out);
  void add_counters(std::span<const CgroupId> ids, std::vector<std::optional<Sample>>& out);
  std::optional<Bytes> host_swap();

  cgroups::Root root_;
  Options options_;
  actuate::Actuator actuator_;
  std::map<CgroupId, Opened> opened_;
  std::vector<Receipt> refused_;  // orders for what is not open
  std::optional<Bytes> swap_free_;
  MonotonicTime swap_at_{};
  std::uint64_t tree_stamp_ = 0, samples_ = 0;
  std::optional<std::string> bpf_failure_;
};

}  // namespace sluice
