// Lease entries for tests.
#pragma once

#include <rapidcheck.h>

#include <string>
#include <utility>
#include <vector>

#include "daemon/actuate/lease.hpp"

namespace sluice::test {

inline constexpr const char* kBoot = "0f3a1c52-0000-4000-8000-00000000beef";
inline constexpr const char* kOtherBoot = "0f3a1c52-0000-4000-8000-00000000cafe";

inline KnobValue quota(std::int64_t usec) {
  return CpuMax{.quota = Usec(usec), .period = Usec(100'000)};
}
inline KnobValue bytes(Bytes n) {
  return MemoryLimit{n};
}

inline LeaseEntry cpu(std::uint64_t id, std::string path = "/a",
                      std::vector<KnobValue> ours = {quota(70'000)}) {
  return {.id = {id},
          .path = std::move(path),
          .knob = Knob::cpu_max,
          .baseline = quota(50'000),
          .ours = std::move(ours)};
}
inline LeaseEntry memory(std::uint64_t id, std::string path = "/a") {
  return {.id = {id},
          .path = std::move(path),
          .knob = Knob::memory_high,
          .baseline = MemoryLimit{},
          .ours = {bytes(8192), bytes(4096)}};
}

inline LeaseKey key_of(const LeaseEntry& entry) {
  return {entry.id, entry.knob};
}
inline LeaseChange put(LeaseEntry entry) {
  const auto key = key_of(entry);
  return {key, std::move(entry)};
}
inline LeaseChange drop(const LeaseEntry& entry) {
  return {key_of(entry), std::nullopt};
}

inline rc::Gen<KnobValue> any_value(Knob knob) {
  if (knob == Knob::memory_high) {
    return rc::gen::map(rc::gen::maybe(rc::gen::arbitrary<std::uint64_t>()),
                        [](const rc::Maybe<std::uint64_t>& n) {
                          return KnobValue(MemoryLimit{n ? std::optional<Bytes>(*n) : std::nullopt});
                        });
  }
  return rc::gen::apply(
      [](std::uint32_t quota, std::uint32_t period, std::uint32_t burst) {
        CpuMax value{.quota = Usec(quota), .period = Usec(period % 999'000 + 1000)};
        if (quota % 4 == 0) value.quota.reset();
        if (burst % 2 == 0) value.burst = Usec(burst);
        return KnobValue(value);
      },
      rc::gen::arbitrary<std::uint32_t>(), rc::gen::arbitrary<std::uint32_t>(),
      rc::gen::arbitrary<std::uint32_t>());
}

inline rc::Gen<LeaseEntry> any_entry(rc::Gen<std::uint64_t> ids = rc::gen::arbitrary<std::uint64_t>()) {
  return rc::gen::mapcat(rc::gen::arbitrary<bool>(), [ids = std::move(ids)](bool is_cpu) {
    const auto knob = is_cpu ? Knob::cpu_max : Knob::memory_high;
    return rc::gen::apply(
        [knob](std::uint64_t id, const std::string& path, KnobValue baseline, std::vector<KnobValue> ours) {
          return LeaseEntry{
              .id = {id}, .path = "/" + path, .knob = knob, .baseline = baseline, .ours = std::move(ours)};
        },
        ids, rc::gen::arbitrary<std::string>(), any_value(knob),
        rc::gen::resize(4, rc::gen::nonEmpty(rc::gen::container<std::vector<KnobValue>>(any_value(knob)))));
  });
}

}  // namespace sluice::test
