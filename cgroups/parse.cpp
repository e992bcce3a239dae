#include "cgroups/parse.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <limits>
#include <utility>

#include "cgroups/escape.hpp"

namespace sluice::cgroups {
namespace {

constexpr std::size_t kQuotedMax = 40;  // bytes of untrusted text in a message
constexpr std::string_view kBurst = " burst ";

tl::unexpected<Error> malformed(std::string_view what, std::string_view found) {
  std::string text(what);
  text.append(", found \"").append(escape(found.substr(0, kQuotedMax)));
  text.append(found.size() > kQuotedMax ? "…\"" : "\"");
  return tl::unexpected(Error{EBADMSG, {}, std::move(text)});
}

// from_chars accepts a minus sign only for signed types, and never a plus sign or blanks.
std::optional<std::uint64_t> to_u64(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Usec> to_usec(std::string_view text) {
  const auto value = to_u64(text);
  if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<Usec::rep>::max()))
    return std::nullopt;
  return Usec(static_cast<Usec::rep>(*value));
}

// A file of one line. The newline may be missing, because the lease contains the same form.
std::string_view strip_newline(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

std::pair<std::string_view, std::string_view> split_at(std::string_view text, char separator) {
  const auto at = text.find(separator);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

// Values of the requested "key value" lines. Each must be a number; a missing line stays empty.
template <std::size_t N>
Result<std::array<std::optional<std::uint64_t>, N>> keyed(std::string_view text,
                                                          const std::array<std::string_view, N>& keys) {
  std::array<std::optional<std::uint64_t>, N> values;
  if (!text.empty() && !text.ends_with('\n')) return malformed("the last line is torn", text);
  while (!text.empty()) {
    const auto [line, rest] = split_at(text, '\n');
    text = rest;
    const auto [key, value] = split_at(line, ' ');
    for (std::size_t i = 0; i < N; ++i) {
      if (key != keys[i]) continue;
      values[i] = to_u64(value);
      if (!values[i]) return malformed(std::string(key) + " must be a number", value);
    }
  }
  return values;
}

tl::unexpected<Error> missing(std::string_view key) {
  return tl::unexpected(Error{EBADMSG, {}, "there is no " + std::string(key)});
}

Bytes saturating_sub(Bytes a, Bytes b) {
  return a > b ? a - b : 0;
}

// Limits are page counts; the largest is the kernel's PAGE_COUNTER_MAX, which is shown as "max".
Bytes page_size() {
  static const auto size = static_cast<Bytes>(::sysconf(_SC_PAGESIZE));
  return size;
}
Bytes rounded_to_pages(Bytes bytes) {
  return bytes / page_size() * page_size();
}
Bytes largest_limit() {
  return rounded_to_pages(static_cast<Bytes>(std::numeric_limits<std::int64_t>::max()));
}

}  // namespace

Result<CpuMax> parse_cpu_max(std::string_view text) {
  const auto [quota_text, period_text] = split_at(strip_newline(text), ' ');
  CpuMax value;
  const auto period = to_usec(period_text);
  if (!period || *period == Usec::zero()) return malformed("cpu.max must be \"QUOTA PERIOD\"", text);
  value.period = *period;
  if (quota_text == "max") return value;
  value.quota = to_usec(quota_text);
  if (!value.quota || *value.quota == Usec::zero()) {
    return malformed("cpu.max's quota must be \"max\" or microseconds", text);
  }
  return value;
}

Result<Usec> parse_cpu_burst(std::string_view text) {
  const auto burst = to_usec(strip_newline(text));
  if (!burst) return malformed("cpu.max.burst must be microseconds", text);
  return *burst;
}

// An idle cgroup (cpu.idle) shows "0", which cannot be written back.
Result<CpuWeight> parse_cpu_weight(std::string_view text) {
  const auto weight = to_u64(strip_newline(text));
  if (!weight || *weight < kCpuWeightMin || *weight > kCpuWeightMax)
    return malformed("cpu.weight must be 1 to 10000", text);
  return CpuWeight{static_cast<std::uint32_t>(*weight)};
}

Result<MemoryLimit> parse_memory_limit(std::string_view text) {
  const auto line = strip_newline(text);
  if (line == "max") return MemoryLimit{};
  const auto bytes = to_u64(line);
  if (!bytes) return malformed("a memory limit must be \"max\" or bytes", text);
  return MemoryLimit{bytes};
}

Result<Bytes> parse_bytes(std::string_view text) {
  const auto bytes = to_u64(strip_newline(text));
  if (!bytes) return malformed("a number of bytes was expected", text);
  return *bytes;
}

Result<CpuStat> parse_cpu_stat(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kKeys = {"usage_usec", "user_usec",    "system_usec",
                                                            "nr_periods", "nr_throttled", "throttled_usec"};
  const auto values = keyed(text, kKeys);
  if (!values) return tl::unexpected(values.error());
  const auto& [usage, user, system, periods, throttled, throttled_time] = *values;
  constexpr auto kUsecMax = static_cast<std::uint64_t>(std::numeric_limits<Usec::rep>::max());
  for (const auto& time : {usage, user, system, throttled_time}) {
    if (time && *time > kUsecMax)
      return malformed("a time in cpu.stat is out of range", std::to_string(*time));
  }
  if (!usage) return missing("usage_usec");
  const auto usec = [](std::uint64_t value) { return Usec(static_cast<Usec::rep>(value)); };
  CpuStat stat;
  stat.usage = {.usage = usec(*usage), .user = usec(user.value_or(0)), .system = usec(system.value_or(0))};
  if (periods && throttled && throttled_time) {
    stat.bandwidth =
        CpuBandwidth{.nr_periods = *periods, .nr_throttled = *throttled, .throttled = usec(*throttled_time)};
  }
  return stat;
}

Result<PressureTotals> parse_pressure(std::string_view text) {
  if (!text.ends_with('\n')) return malformed("the last line is torn", text);
  std::optional<Usec> some;
  Usec full{};  // kernels before 5.13 have no "full" line for the CPU
  while (!text.empty()) {
    const auto [line, rest] = split_at(text, '\n');
    text = rest;
    const auto [kind, fields] = split_at(line, ' ');
    if (kind != "some" && kind != "full") continue;
    constexpr std::string_view kTotal = " total=";
    const auto at = fields.find(kTotal);
    const auto total =
        at == std::string_view::npos ? std::nullopt : to_usec(fields.substr(at + kTotal.size()));
    if (!total) return malformed("a pressure line must end in total=MICROSECONDS", line);
    if (kind == "some") {
      some = total;
    } else {
      full = *total;
    }
  }
  if (!some) return missing("\"some\" line");
  return PressureTotals{.some = *some, .full = full};
}

Result<MemoryStat> parse_memory_stat(std::string_view text) {
  enum Key : std::size_t {
    anon,
    file,
    shmem,
    unevictable,
    refault_anon,
    refault_file,
    pgscan,
    pgsteal,
    sock,
    kernel,
    slab_reclaimable,  // since 5.18
    slab_unreclaimable,
    kernel_stack,
    pagetables,
    percpu,
    vmalloc,
    kCount,  // before
  };
  static constexpr std::array<std::string_view, kCount> kKeys = {"anon",
                                                                 "file",
                                                                 "shmem",
                                                                 "unevictable",
                                                                 "workingset_refault_anon",
                                                                 "workingset_refault_file",
                                                                 "pgscan",
                                                                 "pgsteal",
                                                                 "sock",
                                                                 "kernel",
                                                                 "slab_reclaimable",
                                                                 "slab_unreclaimable",
                                                                 "kernel_stack",
                                                                 "pagetables",
                                                                 "percpu",
                                                                 "vmalloc"};
  const auto values = keyed(text, kKeys);
  if (!values) return tl::unexpected(values.error());
  const auto& found = *values;
  // The file must contain keys from its beginning and end that every kernel has. Otherwise it is truncated,
  // and missing values are not zero.
  for (const Key key : {anon, file, shmem, unevictable, pgscan, pgsteal}) {
    if (!found[key]) return missing(kKeys[key]);
  }
  const auto get = [&](Key key) { return found[key].value_or(0); };

  // Socket buffers are charged apart from `kernel`.
  const Bytes kernel_bytes = found[kernel] ? saturating_sub(*found[kernel], get(slab_reclaimable))
                                           : get(slab_unreclaimable) + get(kernel_stack) + get(pagetables) +
                                                 get(percpu) + get(vmalloc);
  return MemoryStat{.anon = get(anon),
                    .file = get(file),
                    .unreclaimable = kernel_bytes + get(sock) + get(unevictable),
                    .workingset_refault_anon = get(refault_anon),
                    .workingset_refault_file = get(refault_file),
                    .pgscan = get(pgscan),
                    .pgsteal = get(pgsteal),
                    .shmem = get(shmem)};
}

Result<MemoryEvents> parse_memory_events(std::string_view text) {
  static constexpr std::array<std::string_view, 5> kKeys = {"low", "high", "max", "oom", "oom_kill"};
  const auto values = keyed(text, kKeys);
  if (!values) return tl::unexpected(values.error());
  const auto& [low, high, max, oom, oom_kill] = *values;
  if (!high) return missing("high");
  return MemoryEvents{.low = low.value_or(0),
                      .high = *high,
                      .max = max.value_or(0),
                      .oom = oom.value_or(0),
                      .oom_kill = oom_kill.value_or(0)};
}

Result<bool> parse_frozen(std::string_view text) {
  static constexpr std::array<std::string_view, 1> kKeys = {"frozen"};
  const auto values = keyed(text, kKeys);
  if (!values) return tl::unexpected(values.error());
  const auto& frozen = (*values)[0];
  if (!frozen || *frozen > 1) return missing("frozen");
  return *frozen == 1;
}

Result<Controllers> parse_controllers(std::string_view text) {
  Controllers found;
  for (auto line = strip_newline(text); !line.empty();) {
    const auto [name, rest] = split_at(line, ' ');
    line = rest;
    found.cpu |= name == "cpu";
    found.memory |= name == "memory";
    found.io |= name == "io";
  }
  return found;
}

Result<KnobValue> parse_knob(Knob knob, std::string_view text) {
  if (knob == Knob::cpu_weight)
    return parse_cpu_weight(text).map([](const CpuWeight& v) { return KnobValue(v); });
  if (knob == Knob::memory_high)
    return parse_memory_limit(text).map([](const MemoryLimit& v) { return KnobValue(v); });
  const auto at = text.find(kBurst);
  auto value = parse_cpu_max(text.substr(0, at));
  if (!value) return tl::unexpected(std::move(value.error()));
  if (at != std::string_view::npos) {
    const auto burst = parse_cpu_burst(text.substr(at + kBurst.size()));
    if (!burst) return tl::unexpected(burst.error());
    value->burst = *burst;
  }
  return KnobValue(*value);
}

std::string format(const CpuMax& value) {
  std::string text = value.quota ? std::to_string(value.quota->count()) : "max";
  return text.append(" ").append(std::to_string(value.period.count()));
}

std::string format(const MemoryLimit& value) {
  return value.bytes ? std::to_string(*value.bytes) : "max";
}

std::string format(const CpuWeight& value) {
  return std::to_string(value.weight);
}

std::string format(const KnobValue& value) {
  auto text = std::visit([](const auto& v) { return format(v); }, value);
  const auto* cpu = std::get_if<CpuMax>(&value);
  if (cpu && cpu->burst) text.append(kBurst).append(std::to_string(cpu->burst->count()));
  return text;
}

Result<void> check_writable(Knob knob, const KnobValue& value) {
  const auto refuse = [&](const char* why) {
    return tl::unexpected(Error{EINVAL, {}, "refused to write \"" + format(value) + "\": " + why});
  };
  if (knob == Knob::cpu_max) {
    const auto* cpu = std::get_if<CpuMax>(&value);
    if (!cpu) return refuse("cpu.max takes a quota and a period");
    if (cpu->period < kCpuPeriodMin || cpu->period > kCpuPeriodMax)
      return refuse("the period must be 1 ms to 1 s");
    if (cpu->quota && *cpu->quota < kCpuQuotaMin) return refuse("the quota must be at least 1 ms");
    if (cpu->burst && *cpu->burst < Usec::zero()) return refuse("the burst must not be negative");
    if (cpu->quota && cpu->burst && *cpu->burst > *cpu->quota)
      return refuse("the burst must be at most the quota");
    return {};
  }
  if (knob == Knob::cpu_weight) {
    const auto* cpu = std::get_if<CpuWeight>(&value);
    if (!cpu) return refuse("cpu.weight takes a weight");
    if (cpu->weight < kCpuWeightMin || cpu->weight > kCpuWeightMax)
      return refuse("the weight must be 1 to 10000");
    return {};
  }
  const auto* memory = std::get_if<MemoryLimit>(&value);
  if (!memory) return refuse("memory.high takes bytes");
  if (memory->bytes && *memory->bytes < page_size()) return refuse("below one page the limit would be zero");
  return {};
}

bool holds_as_asked(const KnobValue& asked, const KnobValue& held) {
  if (const auto* asked_cpu = std::get_if<CpuMax>(&asked), *held_cpu = std::get_if<CpuMax>(&held);
      asked_cpu && held_cpu) {
    return asked_cpu->quota == held_cpu->quota && asked_cpu->period == held_cpu->period &&
           (!asked_cpu->burst || asked_cpu->burst == held_cpu->burst);
  }
  const auto* asked_memory = std::get_if<MemoryLimit>(&asked);
  const auto* held_memory = std::get_if<MemoryLimit>(&held);
  if (!asked_memory || !held_memory) return asked == held;
  if (!asked_memory->bytes || rounded_to_pages(*asked_memory->bytes) >= largest_limit()) {
    return !held_memory->bytes;
  }
  return held_memory->bytes == rounded_to_pages(*asked_memory->bytes);
}

}  // namespace sluice::cgroups
