#include "daemon/actuate/lease.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice::actuate {
namespace {

using cgroups::Error;
using cgroups::Result;

const std::string kName = "lease";
const std::string kCorrupt = "lease.corrupt";
// A thousand tasks need about 400 KB. A larger file is not ours; ours never grows beyond this.
constexpr std::size_t kSizeMax = 64u << 20;
// The file is rewritten when this much of it is superseded, and at least kRewriteMin.
constexpr std::size_t kRewriteFactor = 4, kRewriteMin = 64u << 10;

std::string plural(std::size_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

}  // namespace

Result<Lease> Lease::open(files::Files& files, const std::string& directory, std::string boot_id) {
  if (boot_id.empty() || boot_id.find_first_of(" \n") != std::string::npos) {
    return tl::unexpected(Error{EINVAL, {}, "a lease needs a boot id"});
  }
  auto dir = files::Directory::open(files, directory, 0755);
  if (!dir) return tl::unexpected(std::move(dir.error()));
  Lease lease(std::move(*dir), std::move(boot_id));
  return lease.load().map([&] { return std::move(lease); });
}

Lease::Lease(files::Directory directory, std::string boot_id)
    : directory_(std::move(directory)), boot_id_(std::move(boot_id)), log_(directory_, kName, 0) {}

Result<void> Lease::load() {
  const auto text = directory_.read(kName, kSizeMax);
  if (!text && text.error().errno_value == ENOENT) return {};
  if (!text) return tl::unexpected(text.error());
  const auto path = directory_.path_of(kName);
  auto parsed = parse_lease(*text, boot_id_);
  for (auto& entry : parsed.entries) {
    const LeaseKey key{entry.id, entry.knob};
    on_file_.insert_or_assign(key, std::move(entry));
  }
  if (parsed.other_boots > 0) {
    notices_.push_back(path + ": dropped " + plural(parsed.other_boots, "baseline", "baselines") +
                       " of an earlier boot, whose cgroups are gone.");
  }
  if (!parsed.bad.empty()) {
    const bool kept = directory_.keep_as(kName, kCorrupt).has_value();
    std::string lines;
    for (const auto& bad : parsed.bad) {
      lines.append(lines.empty() ? "" : ", ").append(std::to_string(bad.number)).append(" (" + bad.why + ")");
    }
    notices_.push_back(
        path + ": " + plural(parsed.bad.size(), "damaged line", "damaged lines") + " ignored: " + lines +
        "; " + plural(on_file_.size(), "baseline is", "baselines are") + " intact; " +
        (kept ? "the file was kept as " + kCorrupt + "." : "the file could not be kept aside."));
  }
  const bool torn = parsed.whole < text->size();
  live_bytes_ = text->size();
  log_ = files::AppendLog(directory_, kName, parsed.whole, torn);
  const bool clean = !torn && parsed.bad.empty() && parsed.other_boots == 0 && parsed.superseded == 0;
  if (!clean) (void)rewrite();  // if refused, the file continues as it is
  return {};
}

// Replaces the whole file by rename: a process killed meanwhile leaves the old one.
bool Lease::rewrite() {
  const auto text = format_lease(entries(), boot_id_);
  if (!directory_.replace(kName, text, files::Survives::process)) return false;
  log_ = files::AppendLog(directory_, kName, text.size());
  live_bytes_ = text.size();
  return true;
}

bool Lease::worth_rewriting() const {
  return log_.size() > kRewriteMin && log_.size() > kRewriteFactor * live_bytes_;
}

Result<void> Lease::apply(std::span<const LeaseChange> changes) {
  for (const auto& change : changes) unwritten_.insert_or_assign(change.key, change);
  std::string text;
  const std::size_t entries_before = on_file_.size();
  std::erase_if(unwritten_, [&](const auto& item) {
    const auto& [key, change] = item;
    const auto found = on_file_.find(key);
    const bool is_so =
        change.entry ? found != on_file_.end() && found->second == *change.entry : found == on_file_.end();
    if (!is_so) text += format_lease_change(change, boot_id_);
    return is_so;
  });
  if (unwritten_.empty()) return log_.mend();
  if (log_.size() + text.size() > kSizeMax && (!rewrite() || log_.size() + text.size() > kSizeMax))
    return tl::unexpected(
        Error{EFBIG, directory_.path_of(kName), "write what the next start could not read"});
  if (auto appended = log_.append(text); !appended) return appended;
  for (auto& [key, change] : std::exchange(unwritten_, {})) {
    if (change.entry) {
      on_file_.insert_or_assign(key, std::move(*change.entry));
    } else {
      on_file_.erase(key);
    }
  }
  // Estimated: entries have similar lengths.
  if (entries_before == 0) {
    live_bytes_ = text.size();
  } else {
    live_bytes_ = live_bytes_ * on_file_.size() / entries_before;
  }
  if (worth_rewriting()) (void)rewrite();  // if refused, the file is longer, but its content is the same
  return {};
}

bool Lease::covers(LeaseKey key, const KnobValue& value) const {
  const auto found = on_file_.find(key);
  if (log_.torn() || found == on_file_.end()) return false;
  const auto& ours = found->second.ours;
  return std::find(ours.begin(), ours.end(), value) != ours.end();
}

Result<void> Lease::remove() {
  if (auto removed = directory_.remove(kName); !removed) return removed;
  log_ = files::AppendLog(directory_, kName, 0);
  on_file_.clear();
  unwritten_.clear();
  return {};
}

std::vector<LeaseEntry> Lease::entries() const {
  std::vector<LeaseEntry> list;
  list.reserve(on_file_.size());
  for (const auto& [key, entry] : on_file_) list.push_back(entry);
  return list;
}

}  // namespace sluice::actuate
