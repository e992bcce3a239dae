// One function per command: calls the bus, prints, and returns the exit status.
#pragma once

#include <string>
#include <vector>

#include "daemon/ctl/client.hpp"

namespace sluice::ctl {

// 0 success, 1 the daemon refused or failed, 2 bad usage, 3 some of several tasks failed.
enum Exit : int { kOk = 0, kFailed = 1, kUsage = 2, kPartial = 3 };

// Print to standard output and standard error, without anything that a terminal would act on; return the
// status.
int say(const std::string& text);
int fail(const std::string& sentence, Exit status);

class Commands {
 public:
  Commands(Client client, Asked asked, bool as_json)
      : client_(std::move(client)), asked_(std::move(asked)), as_json_(as_json) {}

  int status() const;
  int list(bool names_only) const;
  int show(const std::string& task) const;
  int explain(const std::string& task, bool verbose) const;
  int history(const std::string& task, std::uint32_t most) const;

  int pin(const std::string& task, const Limits& limits, std::uint64_t ttl_usec,
          const std::string& reason) const;
  int unpin(const std::vector<std::string>& tasks) const;
  int suspend(const std::vector<std::string>& tasks, const std::string& reason) const;
  int resume(const std::vector<std::string>& tasks) const;

  int suspend_all(const std::string& reason) const;
  int resume_all() const;
  int set_mode(const std::string& mode) const;
  int reload() const;
  int restore() const;
  int reexec() const;

 private:
  [[nodiscard]] int failed(const Failure& failure) const;
  int done(const Reply<void>& reply, const std::string& sentence) const;
  template <class Work>  // int(const Dictionary& task)
  int with_task(const std::string& name, Work work) const;
  template <class Work>  // Reply<void>(const std::string& path)
  int each(const std::vector<std::string>& names, const char* done_word, Work work) const;

  Client client_;
  Asked asked_;
  bool as_json_;
};

// Executes `sluiced --doctor` with these arguments; returns only if it does not exist.
int doctor(const std::string& bus, const std::vector<std::string>& arguments);

}  // namespace sluice::ctl
