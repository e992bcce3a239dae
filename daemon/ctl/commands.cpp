#include "daemon/ctl/commands.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "config/units.hpp"
#include "daemon/ctl/json.hpp"
#include "daemon/ctl/text.hpp"
#include "daemon/process/standard_streams.hpp"
#include "daemon/publish/bus/bus_names.hpp"
#include "daemon/publish/words/spelling.hpp"

namespace sluice::ctl {

using std::string;

int say(const string& text) {
  const string shown = publish::printable(text);
  std::fwrite(shown.data(), 1, shown.size(), stdout);  // main checks for errors when it flushes
  return kOk;
}

int fail(const string& sentence, Exit status) {
  (void)std::fflush(stdout);
  process::complain(fmt::format("sluicectl: {}\n", publish::printable(sentence)));
  return status;
}

namespace {

// The width of the terminal at standard output; none if it is no terminal, and then nothing is left out.
std::optional<std::size_t> terminal_width() {
  if (::isatty(STDOUT_FILENO) == 0) return std::nullopt;
  if (const char* columns = std::getenv("COLUMNS")) {
    std::size_t width = 0;
    const auto* end = columns + std::strlen(columns);
    if (const auto [at, error] = std::from_chars(columns, end, width);
        error == std::errc{} && at == end && width > 0)
      return width;
  }
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return size.ws_col;
}

}  // namespace

int Commands::failed(const Failure& failure) const {
  return fail(complaint(failure, asked_), kFailed);
}

int Commands::done(const Reply<void>& reply, const string& sentence) const {
  if (!reply) return failed(reply.error());
  return say(sentence + "\n");
}

template <class Work>
int Commands::with_task(const string& name, Work work) const {
  const auto tasks = client_.tasks();
  if (!tasks) return failed(tasks.error());
  const auto task = find_task(*tasks, name);
  return task ? work(**task) : fail(task.error(), kFailed);
}

template <class Work>
int Commands::each(const std::vector<string>& names, const char* done_word, Work work) const {
  const auto tasks = client_.tasks();
  if (!tasks) return failed(tasks.error());
  std::size_t failures = 0;
  for (const auto& name : names) {
    const auto task = find_task(*tasks, name);
    const int status =
        task ? done(work(word(**task, "Path")), fmt::format("{} {}", word(**task, "Name"), done_word))
             : fail(task.error(), kFailed);
    failures += status == kOk ? 0 : 1;
  }
  return failures == 0 ? kOk : failures == names.size() ? kFailed : kPartial;
}

int Commands::status() const {
  auto manager = client_.manager();
  if (!manager) return failed(manager.error());
  const auto tasks = client_.tasks();
  if (!tasks) return failed(tasks.error());
  if (!as_json_) return say(status_text(*manager, *tasks));
  manager->insert_or_assign("TasksByMode", Value{count_modes(*tasks)});
  return say(json({*manager}) + "\n");
}

int Commands::list(bool names_only) const {
  const auto tasks = client_.tasks();
  if (!tasks) return failed(tasks.error());
  List all, names;
  for (const auto& task : *tasks) {
    all.push_back({task});
    names.push_back({word(task, "Name")});
  }
  if (as_json_) return say(json({names_only ? names : all}) + "\n");
  if (!names_only) return say(list_text(*tasks, terminal_width()));
  for (const auto& name : names) say(std::get<string>(name.is) + "\n");
  return kOk;
}

int Commands::show(const string& name) const {
  return with_task(name, [&](const Dictionary& task) -> int {
    const auto statistics = client_.statistics(word(task, "Path"));
    if (!statistics) return failed(statistics.error());
    return say(as_json_ ? json({*statistics}) + "\n" : show_text(task, *statistics));
  });
}

int Commands::explain(const string& name, bool verbose) const {
  return with_task(name, [&](const Dictionary& task) -> int {
    const auto explanation = client_.explain(word(task, "Path"));
    if (!explanation) return failed(explanation.error());
    return say(as_json_ ? json({*explanation}) + "\n" : explain_text(*explanation, verbose));
  });
}

int Commands::history(const string& name, std::uint32_t most) const {
  return with_task(name, [&](const Dictionary& task) -> int {
    const auto changes = client_.history(word(task, "Path"), most);
    if (!changes) return failed(changes.error());
    return say(as_json_ ? json({*changes}) + "\n" : history_text(*changes));
  });
}

int Commands::pin(const string& name, const Limits& limits, std::uint64_t ttl_usec,
                  const string& reason) const {
  return with_task(name, [&](const Dictionary& task) -> int {
    const auto reply = client_.pin(word(task, "Path"), limits, ttl_usec, reason);
    if (!reply && reply.error().name == publish::error_name::limit_out_of_range)
      return fail(fmt::format("{}: {}", complaint(reply.error(), asked_), bounds_words(task)), kFailed);
    Dictionary held;
    if (limits.cpu_usec_per_s) held["cpu.max"] = {quantity("CPUQuotaPerSecUSec", {*limits.cpu_usec_per_s})};
    if (limits.memory_high_bytes) held["memory.high"] = {quantity("MemoryHigh", {*limits.memory_high_bytes})};
    const string until = ttl_usec == kInfinity
                             ? "until it is unpinned"
                             : "for " + config::show_duration(std::chrono::microseconds(ttl_usec));
    return done(reply, fmt::format("{} is pinned at {} {}", word(task, "Name"), quantity("", {held}), until));
  });
}

int Commands::unpin(const std::vector<string>& tasks) const {
  return each(tasks, "is pinned no more", [&](const string& path) { return client_.unpin(path); });
}
int Commands::suspend(const std::vector<string>& tasks, const string& reason) const {
  return each(tasks, "is suspended: its baseline is back, until it is resumed",
              [&](const string& path) { return client_.suspend(path, reason); });
}
int Commands::resume(const std::vector<string>& tasks) const {
  return each(tasks, "is resumed", [&](const string& path) { return client_.resume(path); });
}

int Commands::suspend_all(const string& reason) const {
  return done(client_.suspend_all(reason),
              "The whole node is suspended: every baseline is back, until it is resumed");
}
int Commands::resume_all() const {
  return done(client_.resume_all(), "The node is resumed");
}
int Commands::set_mode(const string& mode) const {
  return done(client_.set_mode(mode),
              fmt::format("The mode is {} until the configuration is reloaded", mode));
}
int Commands::reload() const {
  return done(client_.reload(), "The configuration is reloaded");
}
int Commands::restore() const {
  return done(client_.restore(),
              "Every baseline is back, and sluiced only observes; sluicectl mode enforce governs again");
}
int Commands::reexec() const {
  const auto version = client_.reexecute();
  if (!version) return failed(version.error());
  return say(fmt::format("sluiced {} has taken over; every limit stayed in force\n", *version));
}

}  // namespace sluice::ctl
