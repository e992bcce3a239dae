// Loads each kernel program by itself, reads its properties, and unloads it.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "bpf/loader/facts.hpp"
#include "bpf/loader/source.hpp"
#include "daemon/doctor/examine.hpp"

namespace sluice::doctor {
namespace {

using Saw = Look::Saw;

// An option of the loader, the capabilities that it may provide, and a word of the gap that prevents it.
struct Known {
  bool bpf::Options::*wanted;
  std::array<const char*, 2> names;
  std::string_view gap;
};
constexpr std::array kKnown{
    Known{&bpf::Options::iterator, {"bpf-iterator"}, "iterate over cgroups"},
    Known{&bpf::Options::throttle, {"bpf-throttle-events", "bpf-throttle"}, "throttle_cfs_rq()"},
    Known{&bpf::Options::run_queue, {"bpf-runqueue"}, "sched_switch"},
    Known{&bpf::Options::memory_stall, {"bpf-memstall"}, "psi_memstall_enter()"},
    Known{&bpf::Options::flow, {"bpf-flow"}, "TCP sockets"},
    Known{&bpf::Options::writer, {"bpf-writer"}, "cgroup_file_write()"},
};

std::string joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + " " + b;
}

// The loader's own messages, without the gaps, which it adds for every program.
std::string without_gaps(std::string text, const std::vector<bpf::Gap>& gaps) {
  for (const bpf::Gap& gap : gaps) {
    const std::string sentence = gap.sentence();
    if (const auto at = text.find(sentence); at != std::string::npos) text.erase(at, sentence.size());
  }
  text.erase(0, std::min(text.size(), text.find_first_not_of(' ')));
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

Programs load(const bpf::Options& options, const std::vector<bpf::Gap>& gaps) {
  Programs programs;
  const auto source = bpf::Source::open(options);
  programs.failure = without_gaps(source ? source->why_not() : source.error().sentence, gaps);
  if (!source) return programs;
  programs.loaded = source->capabilities();
  for (const bpf::Program& program : source->programs()) {
    ++programs.count;
    programs.verified_insns += program.verified_insns;
  }
  return programs;
}

bpf::Options none_of_the_known() {
  bpf::Options options;
  for (const Known& known : kKnown) options.*known.wanted = false;
  return options;
}

}  // namespace

void examine_programs(bool may_load, HostFacts& facts) {
  const bpf::KernelFacts kernel = bpf::probe_kernel();
  constexpr const char* kTypes = "/sys/kernel/btf/vmlinux";
  if (kernel.has_btf)
    facts.types = {Saw::there, kTypes};
  else if (::access(kTypes, F_OK) != 0)
    facts.types = failed_look(errno, "look at", kTypes);
  else
    facts.types = {facts.uid == 0 ? Saw::absent : Saw::barred, std::string(kTypes) + " cannot be read"};
  if (kernel.has_capability)
    facts.may_load = {Saw::there, "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN"};
  else
    facts.may_load = {facts.uid == 0 ? Saw::absent : Saw::barred,
                      "uid " + std::to_string(facts.uid) +
                          " has neither CAP_BPF with CAP_PERFMON nor CAP_SYS_ADMIN" +
                          (facts.uid == 0 ? "" : "; ask as root")};

  const auto gaps = bpf::gaps(kernel);
  std::vector<bool> told(gaps.size());
  const bool load_them = may_load && kernel.has_cgroup2 && kernel.has_btf && kernel.has_capability;
  for (const Known& known : kKnown) {
    bpf::Options options = none_of_the_known();
    options.*known.wanted = true;
    Programs programs = load_them ? load(options, gaps) : Programs{};
    for (const char* name : known.names)
      if (name != nullptr) programs.names.emplace_back(name);
    for (std::size_t i = 0; load_them && i < gaps.size(); ++i) {
      if (gaps[i].missing.find(known.gap) == std::string::npos) continue;
      told[i] = true;
      programs.gap = joined(programs.gap, gaps[i].sentence());
    }
    facts.programs.push_back(std::move(programs));
  }
  if (!load_them) return;

  // The options that are newer than the table above stay on. If there are none, the loader reports that
  // nothing was requested.
  Programs newer = load(none_of_the_known(), gaps);
  if (newer.loaded.empty() && newer.failure == "No kernel program was asked for.") newer.failure.clear();
  facts.programs.push_back(std::move(newer));
  // A gap that matches no single program belongs to the walk, which then fills in less.
  for (std::size_t i = 0; i < gaps.size(); ++i)
    if (!told[i]) facts.programs.front().gap = joined(facts.programs.front().gap, gaps[i].sentence());
}

}  // namespace sluice::doctor
