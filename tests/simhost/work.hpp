// The CPU work of one task: records arrive, wait in one queue, and are served by a bounded number of threads.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "tests/simhost/bandwidth.hpp"
#include "tests/simhost/delays.hpp"
#include "tests/simhost/load.hpp"
#include "tests/simhost/rng.hpp"
#include "tests/simhost/run_queues.hpp"

namespace sluice::simhost {

// One record of a predefined list.
struct ListedRecord {
  double at_usec = 0;  // of model time
  double cpu_usec = 0;
};

struct WorkSpec {
  Load load;                                                 // records per second over model time
  std::shared_ptr<const std::vector<ListedRecord>> records;  // sorted by time; replaces load and cost
  double cost_usec = 1'000;                                  // mean CPU per record
  double cost_sigma = 0;        // of the logarithm; 0: every record costs the same
  unsigned threads = 4;         // records in service at once; each uses at most one core
  bool poisson = true;          // false: evenly spaced arrivals
  double background_cores = 0;  // housekeeping jobs every 50 ms; no record waits for them
  Usec gc_period{};  // interval at which gc_threads use gc_usec of CPU each, beside the records; 0: never
  unsigned gc_threads = 0;
  double gc_usec = 0;
  unsigned spin_threads = 0;         // threads that always run if they can (and never allocate)
  Usec max_delay{1'000'000};         // the deadline for `late`
  Bytes bytes_per_record = 0;        // payload, over one TCP connection; 0: not over a socket
  Bytes socket_buffer = 6ULL << 20;  // the window closes at this many unread bytes
};

// One interval of time that the host gives the task.
struct Slice {
  double from = 0;
  double to = 0;
  double cores = 1;  // its share of the node
  double node_cpus = 1;
  double ancestor_runtime = Bandwidth::kForever;  // CPU left in the ancestors' pools
  bool frozen = false;
};

// What the scheduler knows about its whole life.
struct SchedulerTotals {
  ThrottleTotals throttle;
  RunQueueWait wait;
};

struct SliceUse {
  double cpu = 0;          // CPU used, usec
  double cpu_some = 0;     // wall usec with a thread waiting for CPU
  double cpu_full = 0;     // with a waiting thread and none running
  double memory_some = 0;  // wall usec with a thread stalled on memory
  double memory_full = 0;
  double finished = 0;       // records
  double starved_from = -1;  // since when an ancestor's pool was empty, or -1
};

class Work {
 public:
  Work(const WorkSpec& spec, std::uint64_t seed, double start);

  // `on_throttle(at)` is called at the exact time; it may change `bandwidth`, and nothing else of the task.
  SliceUse run(const Slice& slice, Bandwidth& bandwidth, const std::function<void(double)>& on_throttle);
  // Threads that serve records stop until then (direct reclaim, refault, memory.high's penalty).
  void stall_until(double until) { stall_until_ = std::max(stall_until_, until); }
  double stalled_until() const { return stall_until_; }
  // The process exited: records that it had begun are delivered again to its successor.
  void restart(double now);

  void set_spec(const WorkSpec& spec, double now);
  const WorkSpec& spec() const { return spec_; }
  void reset_stats() {
    delays_ = Delays{};
    arrived_ = 0;
  }

  unsigned runnable() const;
  double demand_cores() const;
  std::size_t backlog() const { return queue_.size() + serving_.size(); }
  double backlog_cpu_usec() const;
  double oldest_arrival() const;  // kForever: none
  double last_idle() const { return last_idle_; }
  double idle_until() const { return idle_until_; }  // as the kernel programs see it; below 0: never
  std::uint64_t arrived() const { return arrived_; }
  std::uint64_t unfinished_late(double now) const;
  std::uint64_t unfinished_later_than(double now, double usec) const;
  const Delays& delays() const { return delays_; }
  std::uint64_t finished_ever() const { return finished_ever_; }
  SchedulerTotals scheduler() const;
  // Since the host's last reset.
  RunQueues& run_queues() { return run_queues_; }
  SocketFlow flow() const;
  // Called for each record in order with (arrival in usec, CPU it needs in usec); for an oracle.
  void on_arrival(std::function<void(double, double)> observer) { arrival_observer_ = std::move(observer); }

 private:
  struct Record {
    double arrival = 0;
    double cost = 0;  // remaining CPU
    double total = 0;
    unsigned cpu = kNoCpu;
  };
  static constexpr unsigned kNoCpu = ~0U;  // not assigned yet
  void plan_arrival(double after);
  double rate_at(double t);
  void take_arrivals(double until);
  void plan_housekeeping(double after);
  void place_threads(unsigned cpus, bool stalled, bool throttled);
  void progress(double now, double per_thread, SliceUse& use);
  void account_waits(double elapsed, bool throttled, double waiting);
  void end_throttle(double now);
  void note_idle(bool idle, double from, double to);

  WorkSpec spec_;
  Rng rng_;
  std::deque<Record> queue_;
  std::vector<Record> serving_;
  RunQueues run_queues_;
  std::deque<unsigned> resting_;  // threads without a record, the longest idle first, by their last CPU
  std::size_t next_listed_ = 0;
  double next_arrival_ = 0;  // below 0: no arrival, but the next evaluation of the load
  double rate_ = 0;          // records per usec, until rate_end_
  double rate_end_ = -1;
  double next_background_ = Bandwidth::kForever;
  double background_left_ = 0;
  double next_gc_ = Bandwidth::kForever;
  double gc_left_ = 0;  // of each of its threads
  double stall_until_ = 0;
  double last_idle_ = 0;
  double idle_began_ = -1;  // start of the current interval
  double idle_until_ = -1;
  std::uint64_t arrived_ = 0;
  double queued_cpu_ = 0;
  Delays delays_;

  std::function<void(double, double)> arrival_observer_;
  std::uint64_t arrived_ever_ = 0;
  std::uint64_t finished_ever_ = 0;
  double zero_window_ = 0;
  std::uint64_t stops_ = 0;
  std::uint64_t stopped_threads_ = 0;
  double stopped_for_ = 0;
  double stop_began_ = -1;  // start of the current throttle
  unsigned stop_threads_ = 0;
  double waited_ = 0;
  double shared_waited_ = 0;  // waiting for other tasks on the node, not for its own quota
  std::array<std::uint64_t, RunQueueWait::kBuckets> throttle_waits_{};
};

}  // namespace sluice::simhost
