// Values with random fields: an archive that fills them in. Seeded, so that equal fields are unlikely.
#pragma once

#include <limits>
#include <utility>

#include "daemon/record/codec.hpp"
#include "daemon/record/entry.hpp"

namespace sluice::testing {

class Filler {
 public:
  explicit Filler(std::uint64_t seed) : state_(seed * 2 + 1) {}

  template <class... T>
  void operator()(T&... values) {
    (fill(values), ...);
  }
  std::uint64_t dice(std::uint64_t sides) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state_ >> 33) % sides;
  }

  template <class T>
  void fill(T& v) {
    namespace traits = record::traits;
    if constexpr (std::is_enum_v<T>) {
      v = static_cast<T>(dice(2));
    } else if constexpr (std::same_as<T, bool>) {
      v = dice(2) == 1;
    } else if constexpr (std::integral<T>) {
      static constexpr std::uint64_t kEdges[] = {0, 1, std::numeric_limits<std::uint64_t>::max(), 1ULL << 63};
      v = static_cast<T>(dice(8) == 0 ? kEdges[dice(4)] : dice(1ULL << 31) << dice(20));
    } else if constexpr (std::same_as<T, double>) {
      v = dice(8) == 0 ? std::numeric_limits<double>::infinity() : static_cast<double>(dice(1000)) / 7.0;
    } else if constexpr (std::same_as<T, std::string>) {
      v.clear();
      for (auto n = dice(9); n > 0; --n) v += static_cast<char>(dice(256));
    } else if constexpr (traits::is_duration<T>) {
      v = T(static_cast<typename T::rep>(dice(1ULL << 31)));
    } else if constexpr (traits::is_time_point<T>) {
      v = T(typename T::duration(static_cast<typename T::rep>(dice(1ULL << 31))));
    } else if constexpr (traits::is_optional<T>) {
      v.reset();
      if (dice(2) == 1) fill(v.emplace());
    } else if constexpr (traits::is_vector<T>) {
      v.clear();
      for (auto n = dice(4); n > 0; --n) fill(v.emplace_back());
    } else if constexpr (traits::is_map<T>) {
      v.clear();
      for (auto n = dice(4); n > 0; --n) {
        typename T::key_type key{};
        fill(key);
        fill(v[std::move(key)]);
      }
    } else if constexpr (traits::is_array<T>) {
      for (auto& each : v) fill(each);
    } else if constexpr (traits::is_variant<T>) {
      v = alternative<T>(dice(std::variant_size_v<T>));
    } else {
      record::fields(*this, v);
    }
  }

 private:
  template <class V, std::size_t I = 0>
  V alternative(std::size_t index) {
    if constexpr (I + 1 < std::variant_size_v<V>) {
      if (index != I) return alternative<V, I + 1>(index);
    }
    std::variant_alternative_t<I, V> v;
    fill(v);
    return v;
  }

  std::uint64_t state_;
};

// A configuration with at least one rule, for ticks that refer to it.
inline record::ConfigEntry random_config(Filler& filler) {
  record::ConfigEntry e;
  filler.fill(e.config);
  filler.fill(e.config.tasks.emplace_back());
  return e;
}

// A tick as random as the reader permits. Tasks have ids 1 to `tasks`; some are left out.
inline record::TickEntry random_tick(Filler& filler, std::uint64_t tasks) {
  const auto make_valid = [](KnobValue& v) {
    if (auto* cpu = std::get_if<CpuMax>(&v)) cpu->period = Usec{100'000};
    if (auto* cpu = std::get_if<CpuWeight>(&v)) cpu->weight = 1 + cpu->weight % kCpuWeightMax;
  };
  record::TickEntry e;
  Input& in = e.input;
  filler(in.kind, in.now, in.wall, in.node, in.events, in.receipts, in.commands, in.stopping, in.profiles,
         in.inherited, in.holds);
  filler.fill(e.plan);
  for (std::uint64_t id = 1; id <= tasks; ++id) {
    if (filler.dice(5) == 0) continue;
    Observation& o = e.input.tasks.emplace_back();
    filler(o.facts, o.sample);
    o.facts.id = CgroupId{id};
    o.facts.config_index = 0;
    if (o.sample && o.sample->cpu_max) o.sample->cpu_max->period = Usec{100'000};
  }
  for (auto& r : e.input.receipts) {
    r.knob = knob_of(r.asked);
    if (r.holds) r.holds = r.asked;
    make_valid(r.asked);
    if (r.holds) make_valid(*r.holds);
  }
  for (auto& l : e.input.inherited) {
    l.knob = knob_of(l.baseline);
    l.ours.assign(1 + filler.dice(3), l.baseline);
    make_valid(l.baseline);
    for (auto& v : l.ours) make_valid(v);
  }
  for (auto& w : e.plan.writes) {
    w.knob = knob_of(w.value);
    make_valid(w.value);
  }
  return e;
}

// All fields of a value, for comparisons.
template <class... T>
std::string bytes_of(const T&... values) {
  std::string bytes;
  record::Encoder out(bytes);
  out(values...);
  return bytes;
}
inline std::string bytes_of_tick(const record::TickEntry& e) {
  // Lists all fields of an input: a new field does not compile until it is added here.
  const auto& [kind, now, wall, node, tasks, events, receipts, commands, stopping, profiles, inherited,
               holds] = e.input;
  std::string bytes = bytes_of(kind, now, wall, node, events, receipts, commands, stopping, profiles,
                               inherited, holds, e.plan);
  for (const auto& o : tasks) bytes += bytes_of(o.facts, o.sample);
  return bytes;
}

}  // namespace sluice::testing
