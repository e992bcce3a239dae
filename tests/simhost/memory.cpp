#include "tests/simhost/memory.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::simhost {

WorkingSet::WorkingSet(const MemorySpec& spec)
    : spec_(spec),
      anon_(static_cast<double>(spec.anon)),
      hot_(static_cast<double>(spec.file_hot)),
      cold_(static_cast<double>(spec.file_cold)),
      kernel_(static_cast<double>(spec.kernel)) {}

WorkingSet::Demand WorkingSet::demand(double now, double elapsed, double records) const {
  Demand out;
  const double wanted =
      spec_.anon_mib ? spec_.anon_mib->at(now / 1e6) * (1 << 20) : static_cast<double>(spec_.anon);
  // A jump of the level is touched at memory speed, 1 GiB/s, not within one model step.
  out.anon = std::min(wanted - anon_ - swapped_, 1073.741824 * elapsed);
  out.cold = std::min(spec_.cold_growth_bytes_per_s * elapsed / 1e6,
                      std::max(0.0, static_cast<double>(spec_.file_cold_max) - cold_));
  const double missing = std::max(0.0, static_cast<double>(spec_.file_hot) - hot_);
  out.refault = std::min(missing, missing * elapsed / 1e6 / spec_.hot_cycle_s);
  out.churn = records * static_cast<double>(spec_.churn_per_record);
  return out;
}

void WorkingSet::charge(const Demand& demand) {
  anon_ = std::max(0.0, anon_ + demand.anon);
  cold_ += demand.cold;
  hot_ += demand.refault;
}

Reclaimed WorkingSet::reclaim(double bytes, double swap_free) {
  Reclaimed out;
  const auto take = [&](double& from, double efficiency) {
    const double taken = std::clamp(bytes - out.bytes, 0.0, from);
    from -= taken;
    out.bytes += taken;
    out.stolen_pages += taken / kPage;
    out.scanned_pages += taken / kPage / efficiency;
    return taken;
  };
  take(cold_, 0.98);
  take(hot_, 0.5);  // referenced pages get a second chance
  if (spec_.swappable && swap_free > 0 && out.bytes < bytes) {
    double limit = std::min(anon_, swap_free);
    anon_ -= limit;
    const double before = limit;
    take(limit, 0.4);
    anon_ += limit;
    swapped_ += before - limit;
  }
  return out;
}

double WorkingSet::reclaimable(double swap_free) const {
  return cold_ + hot_ + (spec_.swappable ? std::min(anon_, swap_free) : 0.0);
}

void WorkingSet::restart() {
  anon_ = 0;
  swapped_ = 0;
}

double over_high_penalty_usec(double usage, double high, double pages) {
  // Calibrated once: with memory.high 50 MiB below anon and no swap, 1 MiB more took 69 s on 6.1 (emulated),
  // which is the kernel's 2 s maximum for about every 8 pages.
  constexpr double kBatchPages = 8;
  constexpr double kCeiling = 2e6;
  const double overage = (usage - high) / std::max(high, kPage);  // kernel: 20-bit fixed point
  if (overage <= 0) return 0;
  const double penalty = overage * overage * 64 * 1e6;  // HZ << (20 + 20 - 20 - 14), in usec
  const double batches = pages / kBatchPages;
  const double total = std::min(kCeiling, penalty) * batches;
  return std::min(kCeiling, penalty) < 10'000 ? 0 : total;  // the kernel skips penalties below 10 ms
}

}  // namespace sluice::simhost
