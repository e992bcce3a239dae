// The real host: cgroupfs through directory descriptors, samples from the kernel programs or from files,
// orders carried out by the actuator's threads. The engine's thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/loader/kernel_programs.hpp"
#include "cgroups/root.hpp"
#include "daemon/actuate/actuator.hpp"
#include "daemon/run/host.hpp"
#include "daemon/sample/ancestors.hpp"
#include "daemon/sample/retry.hpp"

namespace sluice {

class CgroupHost final : public Host {
 public:
  using OpenPrograms = std::function<tl::expected<std::unique_ptr<bpf::KernelPrograms>, bpf::Error>()>;
  struct Options {
    std::unique_ptr<bpf::KernelPrograms> bpf{};  // none: samples are read from files
    // Why there are none, if that may pass: `open_bpf` is tried until it works, or fails in a way that stays.
    std::optional<bpf::Error> bpf_failure{};
    // Loads the kernel programs anew; none: they are not loaded again.
    OpenPrograms open_bpf{};
    int proc_fd = -1;  // of procfs; borrowed
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
  [[nodiscard]] bpf::KernelPrograms* bpf() { return options_.bpf.get(); }
  // The walk was good the last time: samples are from it.
  [[nodiscard]] bool samples_by_bpf() const;
  // Of programs that were loaded before these ones, too.
  [[nodiscard]] std::uint64_t lost_events() const;
  // The programs' events cannot be read any more: they are dropped, and loaded anew when that is due.
  void lose_bpf(const std::string& why);

  // What became of the kernel programs since the last call.
  struct BpfNews {
    bool good = false;  // they work again, or more of them do
    // Their events are to be waited for anew, and the governed set is to be told.
    bool reopened = false;
    std::string sentence;  // whole sentences
    std::string why_not;   // what is missing now, and why; empty: nothing is
  };
  std::vector<BpfNews> take_bpf_news() { return std::exchange(bpf_news_, {}); }

 private:
  struct Opened {
    cgroups::CgroupRef cgroup;
    sample::Ancestors::Chain ancestors;
    bool cpu_absent = false, memory_absent = false;  // when last looked at
    std::optional<Usec> used;                        // by the last sample
    MonotonicTime weight_at{};                       // when cpu.weight was last read
    MonotonicTime frozen_at{};                       // when it was last asked whether it is frozen
    bool frozen = false;                             // and what it said
  };
  bool bpf_is_due();
  bool reopen_bpf(MonotonicTime now);
  void mend_bpf(MonotonicTime now);
  void bpf_failed(MonotonicTime now, const std::string& why);
  void bpf_works(MonotonicTime now);
  bool sample_by_bpf(std::span<const CgroupId> ids, std::vector<std::optional<Sample>>& out);
  void add_counters(std::span<const CgroupId> ids, std::vector<std::optional<Sample>>& out);
  std::optional<Bytes> host_swap();
  static void look_for_frost(Opened& opened, Sample& sample);
  static void read_weight(Opened& opened, Sample& sample);

  cgroups::Root root_;
  Options options_;
  actuate::Actuator actuator_;
  std::map<CgroupId, Opened> opened_;
  sample::Ancestors ancestors_;
  std::vector<Receipt> refused_;  // orders for what is not open
  std::optional<Bytes> swap_free_;
  MonotonicTime swap_at_{};
  std::uint64_t tree_stamp_ = 0, samples_ = 0;
  bool walks_ = false;                  // there is an iterator, or was
  sample::Retry retry_;                 // of programs that fail
  sample::Retry mending_;               // of those that are missing, while others work
  bool ever_ = false;                   // programs were there
  bool reopened_ = false;               // since it failed
  std::uint64_t samples_by_files_ = 0;  // since it failed
  std::uint64_t lost_before_ = 0;       // events, of programs that are gone
  std::vector<BpfNews> bpf_news_;
};

}  // namespace sluice
