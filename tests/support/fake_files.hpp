// Files in memory, for tests of everything that is kept in files. No real I/O, so a property test can use it
// 100,000 times. It behaves like a POSIX file system, fails where a test sets it to, and loses what a killed
// process or a crashed machine loses.
//
// Not modelled: the parent of a directory always exists, a created directory survives everything, and there
// are only regular files. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/files/files.hpp"

namespace sluice::test {

class FakeFiles final : public files::Files {
 public:
  // Every method of the seam that may fail. Closing is no step.
  enum class Step : std::uint8_t {
    open_directory,
    find_directory,
    open,
    read,
    write,
    truncate,
    sync,
    rename,
    link,
    remove,
  };
  static constexpr std::size_t kSteps = 10;

  FakeFiles();
  ~FakeFiles() override;

  // ---- faults, in force until clear_faults()
  // The n-th step from now (1: the next one) fails once. A write first takes `taken` bytes, but never all;
  // then the next write fails.
  void fail_step(std::size_t n, int error, std::size_t taken = 0);
  void fail_every(Step kind, int error);
  // This many bytes can still be written, then ENOSPC. Nothing frees space.
  void limit_space(std::uint64_t bytes);
  void clear_faults();
  // True if a fault of fail_step or die_at_step has not occurred: the code under test made fewer steps.
  [[nodiscard]] bool fault_is_pending() const;

  // ---- crashes
  // The process is killed at the n-th step from now. That step does nothing, except for the first `taken`
  // bytes of a write. Later steps of the dead process do nothing either (ECANCELED), until crash_process() or
  // crash_machine().
  void die_at_step(std::size_t n, std::size_t taken = 0);
  // Closes all handles; written data stays. `of_last_write`: if the last step was a write, the kill came
  // during it, and this many of its bytes were written.
  void crash_process(std::optional<std::size_t> of_last_write = std::nullopt);

  // What a machine crash does to data that was not synced: the disk may have any part of it, or none.
  enum class Data : std::uint8_t {
    lost,   // a file has its content of the last sync, or nothing
    zeros,  // the length was written, the content was not
    kept,
  };
  struct Unsynced {
    Data data = Data::lost;
    std::size_t entries =
        0;  // changes of each directory since its last sync, in order, that survive; the rest is undone
  };
  void crash_machine(Unsynced unsynced);
  // The largest number of unsynced changes of a directory.
  [[nodiscard]] std::size_t unsynced_entries() const;

  // ---- content; PATH is DIRECTORY/NAME
  [[nodiscard]] std::optional<std::string> content(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> names(const std::string& directory) const;  // in order
  // Creates or overwrites the file in place, synced.
  void put(const std::string& path, std::string_view text);
  void make_directory(const std::string& path);

  // ---- counts
  [[nodiscard]] std::size_t steps() const;
  [[nodiscard]] std::size_t steps(Step kind) const;
  [[nodiscard]] std::size_t open_handles() const;
  [[nodiscard]] std::size_t bad_closes() const;  // closes of handles that this process does not have

  // ---- the seam
  files::Result<files::Handle> open_directory(const std::string& path, mode_t mode) override;
  files::Result<files::Handle> find_directory(const std::string& path, files::Whose whose) override;
  files::Result<files::Handle> open(files::Handle directory, const std::string& name,
                                    files::Open how) override;
  void close(files::Handle handle) override;
  files::Result<std::string> read(files::Handle file, std::size_t most) override;
  files::Result<std::size_t> write(files::Handle file, std::string_view text) override;
  files::Result<void> truncate(files::Handle file, std::uint64_t size) override;
  files::Result<void> sync(files::Handle file_or_directory) override;
  files::Result<void> rename(files::Handle directory, const std::string& from,
                             const std::string& to) override;
  files::Result<void> link(files::Handle directory, const std::string& from, const std::string& to) override;
  files::Result<void> remove(files::Handle directory, const std::string& name) override;

 private:
  struct File {
    std::string data, synced;
    bool forgotten = false;  // a sync failed; as in Linux, a later successful sync does not repair that
  };
  using FileRef = std::shared_ptr<File>;
  using Entries = std::vector<std::pair<std::string, FileRef>>;  // few entries: linear search
  struct Change {
    std::string name;
    FileRef file;      // none: the name is removed
    std::string from;  // removed too, by a rename
  };
  struct Folder {
    std::string path;
    Entries entries, synced;
    std::vector<Change> unsynced;
  };
  struct Opened {
    FileRef file;
    Folder* folder = nullptr;
    bool writable = false;
  };
  struct Fault {
    std::size_t at = std::numeric_limits<std::size_t>::max();  // counted from the very first step
    int error = 0;
    std::size_t taken = 0;
  };

  static FileRef* find(Entries& entries, std::string_view name);
  static void apply(Entries& entries, const Change& change);
  static void change(Folder& folder, Change change);
  // Call the functions below with `mutex_` held. begin() returns the errno of this step, or 0.
  int begin(Step kind, std::size_t* may_take = nullptr);
  Folder* folder_at(std::string_view path);
  Folder& make_folder(const std::string& path);
  FileRef* file_at(const std::string& path);
  Opened* opened(files::Handle handle);
  Folder* folder_of(files::Handle handle);
  files::Handle add(Opened opened);
  void revive();

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Folder>> folders_;
  std::vector<Opened> opened_;      // by handle, from first_handle_ on
  files::Handle first_handle_ = 0;  // older handles belong to ended processes
  std::size_t step_ = 0;
  std::array<std::size_t, kSteps> taken_steps_{};
  std::array<int, kSteps> failing_{};
  Fault fault_, death_;
  int next_write_error_ = 0;
  std::uint64_t space_ = std::numeric_limits<std::uint64_t>::max();
  bool dead_ = false;
  FileRef last_written_;  // by the last step
  std::size_t last_written_at_ = 0;
  std::size_t open_handles_ = 0, bad_closes_ = 0;
};

}  // namespace sluice::test
