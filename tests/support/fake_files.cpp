#include "tests/support/fake_files.hpp"

#include <algorithm>
#include <cerrno>

namespace sluice::test {
namespace {

using files::Error;
using files::Handle;
using files::Open;
using files::Result;

constexpr auto kNever = std::numeric_limits<std::size_t>::max();

tl::unexpected<Error> failed(int error, std::string_view name, const char* what) {
  return tl::unexpected(Error{error, std::string(name), what});
}

}  // namespace

FakeFiles::FakeFiles() = default;
FakeFiles::~FakeFiles() = default;

// ---- faults

void FakeFiles::fail_step(std::size_t n, int error, std::size_t taken) {
  const std::lock_guard lock(mutex_);
  fault_ = {.at = step_ + n - 1, .error = error, .taken = taken};
}

void FakeFiles::fail_every(Step kind, int error) {
  const std::lock_guard lock(mutex_);
  failing_[static_cast<std::size_t>(kind)] = error;
}

void FakeFiles::limit_space(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  space_ = bytes;
}

void FakeFiles::clear_faults() {
  const std::lock_guard lock(mutex_);
  fault_ = death_ = {};
  failing_.fill(0);
  next_write_error_ = 0;
  space_ = std::numeric_limits<std::uint64_t>::max();
}

bool FakeFiles::fault_is_pending() const {
  const std::lock_guard lock(mutex_);
  return fault_.at != kNever || death_.at != kNever;
}

void FakeFiles::die_at_step(std::size_t n, std::size_t taken) {
  const std::lock_guard lock(mutex_);
  death_ = {.at = step_ + n - 1, .error = ECANCELED, .taken = taken};
}

// Returns 0 if the step goes on. `may_take`: bytes that a write may take.
int FakeFiles::begin(Step kind, std::size_t* may_take) {
  if (dead_) return ECANCELED;
  last_written_.reset();
  const auto now = step_++;
  ++taken_steps_[static_cast<std::size_t>(kind)];
  if (now == death_.at) {
    dead_ = true;
    if (may_take != nullptr) *may_take = std::min(*may_take, death_.taken);
    death_ = {};
    return ECANCELED;
  }
  if (now == fault_.at) {
    const auto fault = std::exchange(fault_, {});
    const auto taken = may_take != nullptr && *may_take > 0 ? std::min(fault.taken, *may_take - 1) : 0;
    if (taken == 0) return fault.error;
    *may_take = taken;
    next_write_error_ = fault.error;
    return 0;
  }
  if (kind == Step::write && next_write_error_ != 0) return std::exchange(next_write_error_, 0);
  return failing_[static_cast<std::size_t>(kind)];
}

// ---- crashes

void FakeFiles::revive() {
  first_handle_ += static_cast<Handle>(opened_.size());
  opened_.clear();
  open_handles_ = 0;
  dead_ = false;
  death_ = {};
  next_write_error_ = 0;
}

void FakeFiles::crash_process(std::optional<std::size_t> of_last_write) {
  const std::lock_guard lock(mutex_);
  if (of_last_write && last_written_) {
    auto& data = last_written_->data;
    data.resize(std::min(data.size(), last_written_at_ + *of_last_write));
  }
  last_written_.reset();
  revive();
}

void FakeFiles::crash_machine(Unsynced unsynced) {
  const std::lock_guard lock(mutex_);
  for (auto& folder : folders_) {
    const auto landed = std::min(unsynced.entries, folder->unsynced.size());
    for (std::size_t i = 0; i < landed; ++i) apply(folder->synced, folder->unsynced[i]);
    folder->entries = folder->synced;
    folder->unsynced.clear();
    for (auto& [name, file] : folder->entries) {
      auto& [data, synced, forgotten] = *file;
      if (unsynced.data == Data::zeros) synced.resize(data.size());
      if (unsynced.data == Data::kept) synced = data;
      data = synced;
      forgotten = false;
    }
  }
  last_written_.reset();
  revive();
}

std::size_t FakeFiles::unsynced_entries() const {
  const std::lock_guard lock(mutex_);
  std::size_t most = 0;
  for (const auto& folder : folders_) most = std::max(most, folder->unsynced.size());
  return most;
}

// ---- content

FakeFiles::FileRef* FakeFiles::find(Entries& entries, std::string_view name) {
  for (auto& [each, file] : entries) {
    if (each == name) return &file;
  }
  return nullptr;
}

void FakeFiles::apply(Entries& entries, const Change& change) {
  const auto gone = change.file ? std::string_view(change.from) : std::string_view(change.name);
  if (!gone.empty()) std::erase_if(entries, [&](const auto& entry) { return entry.first == gone; });
  if (!change.file) return;
  if (auto* there = find(entries, change.name)) {
    *there = change.file;
  } else {
    entries.emplace_back(change.name, change.file);
  }
}

void FakeFiles::change(Folder& folder, Change change) {
  apply(folder.entries, change);
  folder.unsynced.push_back(std::move(change));
}

FakeFiles::Folder* FakeFiles::folder_at(std::string_view path) {
  for (auto& folder : folders_) {
    if (folder->path == path) return folder.get();
  }
  return nullptr;
}

FakeFiles::Folder& FakeFiles::make_folder(const std::string& path) {
  if (auto* folder = folder_at(path)) return *folder;
  return *folders_.emplace_back(std::make_unique<Folder>(Folder{path, {}, {}, {}}));
}

FakeFiles::FileRef* FakeFiles::file_at(const std::string& path) {
  const auto slash = path.rfind('/');
  auto* folder = folder_at(std::string_view(path).substr(0, slash));
  return folder != nullptr ? find(folder->entries, std::string_view(path).substr(slash + 1)) : nullptr;
}

std::optional<std::string> FakeFiles::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto* file = const_cast<FakeFiles*>(this)->file_at(path);
  return file != nullptr ? std::optional((*file)->data) : std::nullopt;
}

std::vector<std::string> FakeFiles::names(const std::string& directory) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  if (const auto* folder = const_cast<FakeFiles*>(this)->folder_at(directory)) {
    for (const auto& [name, file] : folder->entries) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void FakeFiles::put(const std::string& path, std::string_view text) {
  const std::lock_guard lock(mutex_);
  const auto slash = path.rfind('/');
  auto& folder = make_folder(path.substr(0, slash));
  const auto name = path.substr(slash + 1);
  if (find(folder.entries, name) == nullptr) apply(folder.entries, {name, std::make_shared<File>(), {}});
  const auto file = *find(folder.entries, name);
  apply(folder.synced, {name, file, {}});
  std::erase_if(folder.unsynced, [&](const Change& c) { return c.name == name; });
  file->data = file->synced = text;
  file->forgotten = false;
}

void FakeFiles::make_directory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  (void)make_folder(path);
}

std::size_t FakeFiles::steps() const {
  const std::lock_guard lock(mutex_);
  return step_;
}

std::size_t FakeFiles::steps(Step kind) const {
  const std::lock_guard lock(mutex_);
  return taken_steps_[static_cast<std::size_t>(kind)];
}

std::size_t FakeFiles::open_handles() const {
  const std::lock_guard lock(mutex_);
  return open_handles_;
}

std::size_t FakeFiles::bad_closes() const {
  const std::lock_guard lock(mutex_);
  return bad_closes_;
}

// ---- the seam

FakeFiles::Opened* FakeFiles::opened(Handle handle) {
  const auto at = static_cast<std::size_t>(handle - first_handle_);
  if (handle < first_handle_ || at >= opened_.size()) return nullptr;
  auto& found = opened_[at];
  return found.file || found.folder != nullptr ? &found : nullptr;
}

FakeFiles::Folder* FakeFiles::folder_of(Handle handle) {
  auto* found = opened(handle);
  return found != nullptr ? found->folder : nullptr;
}

Handle FakeFiles::add(Opened opened) {
  ++open_handles_;
  opened_.push_back(std::move(opened));
  return first_handle_ + static_cast<Handle>(opened_.size()) - 1;
}

Result<Handle> FakeFiles::open_directory(const std::string& path, mode_t) {
  const std::lock_guard lock(mutex_);
  if (const int error = begin(Step::open_directory)) return failed(error, path, "open the directory");
  return add({.file = {}, .folder = &make_folder(path)});
}

Result<Handle> FakeFiles::find_directory(const std::string& path, files::Whose) {
  const std::lock_guard lock(mutex_);
  if (const int error = begin(Step::find_directory)) return failed(error, path, "open the directory");
  auto* folder = folder_at(path);
  if (folder == nullptr) return failed(ENOENT, path, "open the directory");
  return add({.file = {}, .folder = folder});
}

Result<Handle> FakeFiles::open(Handle directory, const std::string& name, Open how) {
  const std::lock_guard lock(mutex_);
  if (const int error = begin(Step::open)) return failed(error, name, "open");
  auto* folder = folder_of(directory);
  if (folder == nullptr) return failed(opened(directory) != nullptr ? ENOTDIR : EBADF, name, "open");
  auto* there = find(folder->entries, name);
  if (there != nullptr && how == Open::make) return failed(EEXIST, name, "open");
  if (there == nullptr && how == Open::read) return failed(ENOENT, name, "open");
  if (there == nullptr) {
    change(*folder, {name, std::make_shared<File>(), {}});
    there = find(folder->entries, name);
  }
  return add({.file = *there, .writable = how != Open::read});
}

void FakeFiles::close(Handle handle) {
  const std::lock_guard lock(mutex_);
  if (handle >= 0 && handle < first_handle_) return;  // of an ended process, in a test
  auto* found = opened(handle);
  if (found == nullptr) {
    ++bad_closes_;
    return;
  }
  *found = {};
  --open_handles_;
}

Result<std::string> FakeFiles::read(Handle handle, std::size_t most) {
  const std::lock_guard lock(mutex_);
  if (const int error = begin(Step::read)) return failed(error, {}, "read");
  const auto* found = opened(handle);
  if (found == nullptr || !found->file || found->writable) return failed(EBADF, {}, "read");
  if (found->file->data.size() > most) return failed(EFBIG, {}, "read");
  return found->file->data;
}

Result<std::size_t> FakeFiles::write(Handle handle, std::string_view text) {
  const std::lock_guard lock(mutex_);
  auto take = text.size();
  const bool was_dead = dead_;
  const int error = begin(Step::write, &take);
  if (error != 0 && (was_dead || !dead_)) return failed(error, {}, "write");
  auto* found = opened(handle);
  if (found == nullptr || !found->file || !found->writable) return failed(EBADF, {}, "write");
  take = static_cast<std::size_t>(std::min<std::uint64_t>(take, space_));
  if (take == 0 && !text.empty() && error == 0) return failed(ENOSPC, {}, "write");
  space_ -= take;
  last_written_ = found->file;
  last_written_at_ = found->file->data.size();
  found->file->data.append(text.substr(0, take));
  if (error != 0) return failed(error, {}, "write");
  return take;
}

Result<void> FakeFiles::truncate(Handle handle, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  if (const int error = begin(Step::truncate)) return failed(error, {}, "truncate");
  auto* found = opened(handle);
  if (found == nullptr) return failed(EBADF, {}, "truncate");
  if (!found->file || !found->writable) return failed(EINVAL, {}, "truncate");
  found->file->data.resize(size);
  return {};
}

Result<void> FakeFiles::sync(Handle handle) {
  const std::lock_guard lock(mutex_);
  const bool was_dead = dead_;
  const int error = begin(Step::sync);
  auto* found = opened(handle);
  if (error != 0) {
    if (!was_dead && found != nullptr && found->file) found->file->forgotten = true;
    return failed(error, {}, "sync");
  }
  if (found == nullptr) return failed(EBADF, {}, "sync");
  if (found->folder != nullptr) {
    found->folder->synced = found->folder->entries;
    found->folder->unsynced.clear();
  } else if (!found->file->forgotten) {
    found->file->synced = found->file->data;
  }
  return {};
}

Result<void> FakeFiles::rename(Handle directory, const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (const int error = begin(Step::rename)) return failed(error, to, "replace");
  auto* folder = folder_of(directory);
  if (folder == nullptr) return failed(EBADF, to, "replace");
  const auto* source = find(folder->entries, from);
  if (source == nullptr) return failed(ENOENT, to, "replace");
  const auto* target = find(folder->entries, to);
  if (target != nullptr && *target == *source) return {};  // both names already refer to one file
  change(*folder, {to, *source, from});
  return {};
}

Result<void> FakeFiles::link(Handle directory, const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (const int error = begin(Step::link)) return failed(error, to, "link");
  auto* folder = folder_of(directory);
  if (folder == nullptr) return failed(EBADF, to, "link");
  const auto* source = find(folder->entries, from);
  if (source == nullptr) return failed(ENOENT, to, "link");
  if (find(folder->entries, to) != nullptr) return failed(EEXIST, to, "link");
  change(*folder, {to, *source, {}});
  return {};
}

Result<void> FakeFiles::remove(Handle directory, const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (const int error = begin(Step::remove)) return failed(error, name, "remove");
  auto* folder = folder_of(directory);
  if (folder == nullptr) return failed(EBADF, name, "remove");
  if (find(folder->entries, name) == nullptr) return failed(ENOENT, name, "remove");
  change(*folder, {name, nullptr, {}});
  return {};
}

}  // namespace sluice::test
