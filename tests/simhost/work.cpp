#include "tests/simhost/work.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::simhost {
namespace {
constexpr double kBackgroundSpacing = 50'000;
constexpr double kRateStep = 100'000;  // interval at which the arrival rate is evaluated
constexpr double kEpsilon =
    1e-3;  // usec; below it work counts as done and time as reached (and months still resolve it)
}  // namespace

Work::Work(const WorkSpec& spec, std::uint64_t seed, double start)
    : spec_(spec), rng_(seed), last_idle_(start) {
  plan_housekeeping(start);
  plan_arrival(start);
}

void Work::plan_housekeeping(double after) {
  next_background_ = spec_.background_cores > 0 ? after + kBackgroundSpacing : Bandwidth::kForever;
  next_gc_ = spec_.gc_period.count() > 0 ? after + static_cast<double>(spec_.gc_period.count())
                                         : Bandwidth::kForever;
}

void Work::set_spec(const WorkSpec& spec, double now) {
  resting_.clear();
  if (spec.records != spec_.records) next_listed_ = 0;
  spec_ = spec;
  rate_end_ = -1;
  plan_housekeeping(now);
  plan_arrival(now);
}

double Work::rate_at(double t) {
  if (t >= rate_end_) {
    const double begin = std::floor(t / kRateStep) * kRateStep;
    rate_ = spec_.load.at(begin / 1e6) / 1e6;
    rate_end_ = begin + kRateStep;
  }
  return rate_;
}

void Work::plan_arrival(double after) {
  if (spec_.records) {
    const auto& list = *spec_.records;
    while (next_listed_ < list.size() && list[next_listed_].at_usec < after) ++next_listed_;
    next_arrival_ = next_listed_ < list.size() ? list[next_listed_].at_usec : Bandwidth::kForever;
    return;
  }
  // Memoryless: the wait is drawn again whenever the rate may have changed.
  for (double t = after;;) {
    const double rate = rate_at(t);
    const double step_end = rate_end_;
    if (spec_.poisson) {
      const double wait = rate > 0 ? rng_.exponential(1 / rate) : Bandwidth::kForever;
      if (t + wait < step_end) {
        next_arrival_ = t + wait;
        return;
      }
      t = step_end;
    } else {
      if (rate > 0) {
        next_arrival_ = t + 1 / rate;
        return;
      }
      t = step_end;
    }
    if (t - after >= 1e6) {  // no load: evaluate again in a second, without an arrival
      next_arrival_ = -t;
      return;
    }
  }
}

void Work::take_arrivals(double until) {
  while (std::abs(next_arrival_) <= until + kEpsilon) {
    const double at = std::abs(next_arrival_);
    if (next_arrival_ >= 0) {
      const double cost = spec_.records ? (*spec_.records)[next_listed_++].cpu_usec
                                        : rng_.lognormal(spec_.cost_usec, spec_.cost_sigma);
      queue_.push_back({.arrival = at, .cost = cost, .total = cost});
      queued_cpu_ += cost;
      ++arrived_;
      ++arrived_ever_;
      if (arrival_observer_) arrival_observer_(at, cost);
    }
    plan_arrival(at);
  }
  while (next_background_ <= until + kEpsilon) {
    background_left_ += spec_.background_cores * kBackgroundSpacing;
    next_background_ += kBackgroundSpacing;
  }
  while (next_gc_ <= until + kEpsilon) {
    gc_left_ += spec_.gc_usec;
    next_gc_ += static_cast<double>(spec_.gc_period.count());
  }
  while (serving_.size() < spec_.threads && !queue_.empty()) {
    serving_.push_back(queue_.front());
    queued_cpu_ -= queue_.front().cost;
    queue_.pop_front();
  }
}

void Work::place_threads(unsigned cpus, bool stalled, bool throttled) {
  cpus = std::min(cpus, spec_.threads + spec_.spin_threads + 1 + spec_.gc_threads);
  run_queues_.resize(cpus);
  for (unsigned i = 0; i < spec_.spin_threads; ++i) run_queues_.add(i, true);
  if (background_left_ > 0) run_queues_.add(spec_.spin_threads, true);
  for (unsigned i = 0; gc_left_ > 0 && i < spec_.gc_threads; ++i)
    run_queues_.add(spec_.spin_threads + 1 + i, true);
  std::size_t placed = 0;
  for (Record& record : serving_) {
    if (record.cpu >= cpus) continue;
    run_queues_.add(record.cpu, !stalled);
    ++placed;
  }
  while (resting_.size() + placed < spec_.threads) resting_.push_back(static_cast<unsigned>(resting_.size()));
  for (Record& record : serving_) {
    if (record.cpu >= cpus) {
      record.cpu = run_queues_.choose(resting_.empty() ? 0 : resting_.front(), throttled);
      if (!resting_.empty()) resting_.pop_front();
      run_queues_.add(record.cpu, !stalled);
    } else if (!throttled) {
      const unsigned to = run_queues_.better_than(record.cpu);
      if (to != record.cpu) run_queues_.move(record.cpu, to, !stalled);
      record.cpu = to;
    }
  }
}

void Work::progress(double now, double per_thread, SliceUse& use) {
  if (background_left_ > 0) {
    background_left_ -= per_thread;
    if (background_left_ < kEpsilon) background_left_ = 0;
  }
  if (gc_left_ > 0) {
    gc_left_ -= per_thread;
    if (gc_left_ < kEpsilon) gc_left_ = 0;
  }
  if (now - kEpsilon <= stall_until_) return;
  for (std::size_t i = 0; i < serving_.size();) {
    serving_[i].cost -= per_thread;
    if (serving_[i].cost > kEpsilon) {
      ++i;
      continue;
    }
    delays_.add(now - serving_[i].arrival, static_cast<double>(spec_.max_delay.count()));
    use.finished += 1;
    ++finished_ever_;
    resting_.push_back(serving_[i].cpu);
    serving_.erase(serving_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

SliceUse Work::run(const Slice& slice, Bandwidth& bandwidth, const std::function<void(double)>& on_throttle) {
  SliceUse use;
  double above = slice.ancestor_runtime;
  double t = slice.from;
  while (t < slice.to - kEpsilon) {
    bandwidth.catch_up(t + kEpsilon);
    take_arrivals(t);
    const bool stalled = stall_until_ > t + kEpsilon;
    const unsigned threads = runnable() - (stalled ? static_cast<unsigned>(serving_.size()) : 0U);
    double next = std::min({slice.to, bandwidth.next_boundary(), next_background_, next_gc_});
    if (serving_.size() < spec_.threads) next = std::min(next, std::abs(next_arrival_));
    if (stalled) next = std::min(next, stall_until_);

    const bool wants_cpu = threads > 0 && !slice.frozen;
    const bool starved = above < kEpsilon;
    place_threads(static_cast<unsigned>(std::ceil(slice.node_cpus)), stalled,
                  bandwidth.throttled() || starved);
    if (wants_cpu && bandwidth.throttled()) bandwidth.throttle_also(t, run_queues_.busy());
    if (wants_cpu && !bandwidth.throttled() && bandwidth.runtime() < kEpsilon) {
      bandwidth.throttle(t, run_queues_.busy());
      ++stops_;
      stopped_threads_ += threads;
      stop_began_ = t;
      stop_threads_ = threads;
      on_throttle(t);
      continue;  // the observer may have refilled the pool
    }
    if (stop_began_ >= 0 && !bandwidth.throttled()) end_throttle(t);
    double running = 0;  // cores
    double wait_some = 0;
    double wait_full = 0;
    if (wants_cpu && (bandwidth.throttled() || starved)) {
      wait_some = wait_full = 1;
      if (starved && use.starved_from < 0) use.starved_from = t;
    } else if (wants_cpu) {
      const double could_run = std::min<double>(threads, slice.node_cpus);
      running = std::min(could_run, slice.cores);
      wait_full = 1 - running / could_run;
      wait_some = std::max(wait_full, std::min(1.0, (threads - could_run) / slice.node_cpus));
      const double rate = running / threads;
      if (rate > 0) {
        double least = background_left_ > 0 ? background_left_ : Bandwidth::kForever;
        if (gc_left_ > 0) least = std::min(least, gc_left_);
        if (!stalled) {
          for (const Record& record : serving_) least = std::min(least, record.cost);
        }
        next = std::min(next, t + std::max(kEpsilon, least / rate));
        next = std::min(next, t + std::max(kEpsilon, std::min(bandwidth.runtime(), above) / running));
      }
    } else {
      last_idle_ = stalled || !serving_.empty() ? last_idle_ : std::min(next, slice.to);
    }
    next = std::max(next, t);
    note_idle(runnable() == 0, t, std::min(next, slice.to));
    const double elapsed = next - t;
    use.cpu_some += wait_some * elapsed;
    use.cpu_full += wait_full * elapsed;
    if (stalled) {
      use.memory_some += elapsed;
      if (running == 0) use.memory_full += elapsed;
    }
    if (!slice.frozen) run_queues_.account(elapsed, wait_full);
    account_waits(elapsed, bandwidth.throttled(), wants_cpu ? threads - running : 0);
    if (running > 0) {
      const double used = running * elapsed;
      use.cpu += used;
      bandwidth.consume(used);
      above -= used;
      progress(next, used / threads, use);
    }
    t = next;
  }
  take_arrivals(slice.to);
  bandwidth.catch_up(slice.to);
  return use;
}

// A shorter interval may be a request to a broker without a reply yet.
void Work::note_idle(bool idle, double from, double to) {
  constexpr double kShortest = 2'000;
  if (!idle) {
    idle_began_ = -1;
    return;
  }
  if (idle_began_ < 0) idle_began_ = from;
  if (to - idle_began_ >= kShortest) idle_until_ = to;
}

void Work::account_waits(double elapsed, bool throttled, double waiting) {
  if (throttled) stopped_for_ += elapsed;
  waited_ += waiting * elapsed;
  if (!throttled) shared_waited_ += waiting * elapsed;
  const Bytes unread = queue_.size() * spec_.bytes_per_record;
  if (unread > spec_.socket_buffer) zero_window_ += elapsed;
}

void Work::end_throttle(double now) {
  const double length = std::max(1.0, now - stop_began_);
  const auto bucket = static_cast<std::size_t>(std::log2(length));
  throttle_waits_[std::min(bucket, throttle_waits_.size() - 1)] += stop_threads_;
  stop_began_ = -1;
}

SchedulerTotals Work::scheduler() const {
  // Threads that share a core take turns: each wait for others lasts about one slice of the scheduler.
  constexpr double kTurn = 4'000;
  SchedulerTotals out;
  out.throttle = {
      .count = stops_, .stopped = Usec(std::llround(stopped_for_)), .stopped_tasks = stopped_threads_};
  out.wait = {.total = Usec(std::llround(waited_)), .log2_usec = throttle_waits_};
  out.wait.log2_usec[static_cast<std::size_t>(std::log2(kTurn))] +=
      static_cast<std::uint64_t>(shared_waited_ / kTurn);
  return out;
}

SocketFlow Work::flow() const {
  SocketFlow out;
  if (spec_.bytes_per_record == 0) return out;
  out.sockets = 1;
  // A task reads a record when a thread is free for it; the peer keeps what the window does not admit.
  out.unread = std::min(queue_.size() * spec_.bytes_per_record, spec_.socket_buffer);
  out.received = (arrived_ever_ - queue_.size()) * spec_.bytes_per_record + out.unread;
  out.sent = finished_ever_ * spec_.bytes_per_record;
  out.zero_window = Usec(std::llround(zero_window_));
  return out;
}

void Work::restart(double now) {
  for (auto it = serving_.rbegin(); it != serving_.rend(); ++it) {
    it->cost = it->total;
    it->cpu = kNoCpu;
    queued_cpu_ += it->cost;
    queue_.push_front(*it);
  }
  serving_.clear();
  resting_.clear();
  background_left_ = gc_left_ = 0;
  stall_until_ = now;
}

unsigned Work::runnable() const {
  return static_cast<unsigned>(serving_.size()) + spec_.spin_threads + (background_left_ > 0 ? 1U : 0U) +
         (gc_left_ > 0 ? spec_.gc_threads : 0U);
}

double Work::demand_cores() const {
  return runnable();
}

double Work::backlog_cpu_usec() const {
  double out = std::max(0.0, queued_cpu_);
  for (const Record& record : serving_) out += record.cost;
  return out;
}

double Work::oldest_arrival() const {
  double out = queue_.empty() ? Bandwidth::kForever : queue_.front().arrival;
  for (const Record& record : serving_) out = std::min(out, record.arrival);
  return out;
}

std::uint64_t Work::unfinished_late(double now) const {
  return unfinished_later_than(now, static_cast<double>(spec_.max_delay.count()));
}

std::uint64_t Work::unfinished_later_than(double now, double usec) const {
  const double before = now - usec;
  const auto late = [&](const Record& record) { return record.arrival < before; };
  // The queue is in order of arrival.
  const auto end = std::partition_point(queue_.begin(), queue_.end(), late);
  return static_cast<std::uint64_t>(std::count_if(serving_.begin(), serving_.end(), late) +
                                    (end - queue_.begin()));
}

}  // namespace sluice::simhost
