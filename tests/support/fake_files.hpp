// Files in memory, for tests of everything that is kept in files: no real I/O, so that a property test may
// use it 100,000 times. It answers as a POSIX file system does, fails where a test wants it to, and forgets
// what a killed process or a crashed machine loses.
//
// What it leaves out: the parent of a directory is always there, a directory that was made survives
// everything, and there is nothing but regular files. Thread-safe.
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

  // ---- faults: until clear_faults()
  // The n-th step from now (1: the next one) fails, once. A write takes `taken` bytes, but never all, before
  // it does: then it is the next write that fails.
  void fail_step(std::size_t n, int error, std::size_t taken = 0);
  void fail_every(Step kind, int error);
  // So many bytes can still be written, then ENOSPC. Nothing gives any back.
  void limit_space(std::uint64_t bytes);
  void clear_faults();
  // A fault of fail_step or die_at_step that has not happened: the code under test took fewer steps.
  [[nodiscard]] bool fault_is_pending() const;

  // ---- ends
  // The process is killed at the n-th step from now: that one does nothing, but for the first `taken` bytes
  // of a write, and the dead process's other steps do nothing either (ECANCELED), until crash_process() or
  // crash_machine().
  void die_at_step(std::size_t n, std::size_t taken = 0);
  // All handles are closed. What was written is there. `of_last_write`: if a write was the last step, the
  // kill came in the middle of it, and so many bytes of it are there.
  void crash_process(std::optional<std::size_t> of_last_write = std::nullopt);

  // What becomes of that which was not synced when the machine goes down: the disk may have any of it, or
  // none.
  enum class Data : std::uint8_t {
    lost,   // a file has what it had at its last sync, or nothing
    zeros,  // its length got to the disk, its content did not
    kept,
  };
  struct Unsynced {
    Data data = Data::lost;
    std::size_t entries =
        0;  // of the changes of each directory since its last sync, in order; the rest is undone
  };
  void crash_machine(Unsynced unsynced);
  // The most changes that a directory has and did not sync.
  [[nodiscard]] std::size_t unsynced_entries() const;

  // ---- what is there; PATH is DIRECTORY/NAME
  [[nodiscard]] std::optional<std::string> content(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> names(const std::string& directory) const;  // in order
  // Made or overwritten in place, and synced.
  void put(const std::string& path, std::string_view text);
  void make_directory(const std::string& path);

  // ---- counts
  [[nodiscard]] std::size_t steps() const;
  [[nodiscard]] std::size_t steps(Step kind) const;
  [[nodiscard]] std::size_t open_handles() const;
  [[nodiscard]] std::size_t bad_closes() const;  // of handles that this process does not have

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
    bool forgotten =
        false;  // a sync of it failed: as in Linux, a later one that succeeds does not make that good
  };
  using FileRef = std::shared_ptr<File>;
  using Entries = std::vector<std::pair<std::string, FileRef>>;  // few: searched from the start
  struct Change {
    std::string name;
    FileRef file;      // none: the name goes
    std::string from;  // goes too; a rename
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
    std::size_t at = std::numeric_limits<std::size_t>::max();  // counted from the first step ever
    int error = 0;
    std::size_t taken = 0;
  };

  static FileRef* find(Entries& entries, std::string_view name);
  static void apply(Entries& entries, const Change& change);
  static void change(Folder& folder, Change change);
  // With `mutex_` held, all below. The errno with which this step fails, or 0.
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
  files::Handle first_handle_ = 0;  // older ones are of processes that ended
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
