#include "daemon/actuate/actuator.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "daemon/actuate/scheduling.hpp"

namespace sluice::actuate {
namespace {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC

constexpr int kInterrupt = SIGURG;  // ignored by default, and not used otherwise here
// Repeated, because a signal may arrive just before the write enters the kernel.
constexpr auto kInterruptEvery = std::chrono::milliseconds(10);
constexpr auto kInterruptOverdueEvery = std::chrono::seconds(1);

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = 0;  // no SA_RESTART: the system call must return
  ::sigaction(kInterrupt, &action, nullptr);
}

// These threads receive the interrupt only; all other signals go to the loop's thread.
void prepare_thread(const char* name) {
  sigset_t blocked;
  sigfillset(&blocked);
  for (const int kept : {kInterrupt, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&blocked, kept);
  ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  ::pthread_setname_np(::pthread_self(), name);
}

struct Key {
  CgroupId id;
  Knob knob = Knob::cpu_max;
  auto operator<=>(const Key&) const = default;
};
Key key_of(const Order& order) {
  return {order.write.id, order.write.knob};
}

// A knob with a waiting order, a running one, or both.
struct Slot {
  std::optional<Order> waiting;
  bool running = false;
  bool stuck = false;  // the running write missed its deadline and has not returned
};

struct Lane {
  const char* thread_name = "";
  Nsec deadline{};
  bool answers_events = false;
  std::deque<Key> queue;  // each has a waiting order and no running one
  std::condition_variable work;
  std::size_t workers = 0;  // without the overdue ones
  std::size_t workers_wanted = 1;
};

struct Worker {
  pthread_t thread{};  // valid while it has an order
  Lane* lane = nullptr;
  const Order* order = nullptr;  // the running order
  Clock::time_point started_at;
  Clock::time_point next_interrupt;
  bool interrupted = false;
  bool overdue = false;  // its write missed the deadline and has not returned
};

Receipt identified(Receipt receipt, const Order& order, Clock::time_point started,
                   Clock::time_point finished) {
  receipt.id = order.write.id;
  receipt.knob = order.write.knob;
  receipt.asked = order.write.value;
  receipt.path = order.cgroup->file_path(file_name(order.write.knob));
  receipt.started_at = since_boot(started.time_since_epoch());
  receipt.finished_at = since_boot(finished.time_since_epoch());
  receipt.caused_at = order.write.caused_at;
  return receipt;
}

}  // namespace

// Lives as long as a stuck thread needs it. `mutex` protects all members that are not constant.
struct Actuator::Shared : std::enable_shared_from_this<Actuator::Shared> {
  Shared(std::shared_ptr<KnobWriter> knob_writer, ActuatorOptions opts)
      : writer(std::move(knob_writer)), options(opts), wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake) throw std::system_error(errno, std::generic_category(), "eventfd");
    cpu.thread_name = "sluice-cpu";
    cpu.deadline = options.cpu_deadline;
    // memory.high is never urgent, and its writer reclaims, so it gets no priority
    cpu.answers_events = true;
    memory.thread_name = "sluice-memory";
    memory.deadline = options.memory_deadline;
  }

  const std::shared_ptr<KnobWriter> writer;
  const ActuatorOptions options;
  const cgroups::Fd wake;

  std::mutex mutex;
  Lane cpu;
  Lane memory;
  std::map<Key, Slot> slots;
  std::size_t unanswered = 0;  // orders without a receipt
  std::vector<Receipt> receipts;
  std::list<std::shared_ptr<Worker>> workers;
  std::size_t overdue = 0;
  bool stopping = false;
  Clock::time_point latest_deadline = Clock::time_point::max();  // of all writes, once stopping
  std::condition_variable changed;  // signals changes of `unanswered` and `workers`
  std::condition_variable watch;    // signals what the watchdog waits for
  Clock::time_point watch_wakes_at = Clock::time_point::max();
  std::thread watchdog;

  Lane& lane_of(Knob knob) { return knob == Knob::memory_high ? memory : cpu; }

  // Call these with `mutex` held.
  bool start_worker(Lane& lane);
  void submit(Order order);
  void answer(Receipt receipt);
  void answer_busy(const Order& order);
  void interrupt_or_give_up(Worker& worker, Clock::time_point now);
  void give_up(Worker& worker, Clock::time_point now);
  // Threads.
  void work(const std::shared_ptr<Worker>& self);
  void run_one(Worker& self, Key key, std::unique_lock<std::mutex>& lock);
  void watch_over();
};

// False: no thread could be created. The lane continues with its threads; the next submit tries again.
bool Actuator::Shared::start_worker(Lane& lane) {
  auto worker = std::make_shared<Worker>();
  worker->lane = &lane;
  try {
    std::thread thread([shared = shared_from_this(), worker] { shared->work(worker); });
    worker->thread = thread.native_handle();
    thread.detach();  // a write may block it for ever; it keeps Shared alive
  } catch (const std::system_error&) {
    return false;
  }
  workers.push_back(std::move(worker));
  ++lane.workers;
  return true;
}

void Actuator::Shared::answer(Receipt receipt) {
  receipts.push_back(std::move(receipt));
  --unanswered;
  const std::uint64_t one = 1;
  // Fails only if the counter is full; the fd is readable then.
  [[maybe_unused]] const auto n = ::write(wake.get(), &one, sizeof one);
  if (unanswered == 0) changed.notify_all();
}

void Actuator::Shared::answer_busy(const Order& order) {
  Receipt receipt;
  receipt.result = Receipt::Result::not_tried;
  receipt.error_number = EBUSY;
  const auto now = Clock::now();
  answer(identified(std::move(receipt), order, now, now));
}

void Actuator::Shared::submit(Order order) {
  const auto key = key_of(order);
  auto& lane = lane_of(key.knob);
  auto& slot = slots[key];
  if (slot.waiting) {
    auto& caused_at = order.write.caused_at;
    const auto earlier = slot.waiting->write.caused_at;
    if (caused_at == MonotonicTime{} || (earlier != MonotonicTime{} && earlier < caused_at)) {
      caused_at = earlier;
    }
    slot.waiting = std::move(order);
    return;
  }
  ++unanswered;
  while (lane.workers < lane.workers_wanted && overdue <= options.max_overdue && start_worker(lane)) {
  }
  if (slot.stuck || lane.workers == 0) {
    answer_busy(order);
    if (!slot.running) slots.erase(key);
    return;
  }
  const bool urgent = order.write.caused_at != MonotonicTime{};
  slot.waiting = std::move(order);
  if (slot.running) return;  // queued when the running write is done
  if (urgent) {
    lane.queue.push_front(key);
  } else {
    lane.queue.push_back(key);
  }
  lane.work.notify_one();
}

void Actuator::Shared::work(const std::shared_ptr<Worker>& self) {
  auto& lane = *self->lane;
  prepare_thread(lane.thread_name);
  if (lane.answers_events) (void)request_realtime();  // if refused, the loop was refused too and logged it
  std::unique_lock lock(mutex);
  // A worker that returns late was replaced. It stays only if the lane lacks workers.
  while (lane.workers <= lane.workers_wanted) {
    lane.work.wait(lock, [&] { return stopping || !lane.queue.empty(); });
    if (stopping) break;
    const auto key = lane.queue.front();
    lane.queue.pop_front();
    run_one(*self, key, lock);
  }
  --lane.workers;
  workers.remove(self);
  changed.notify_all();
}

void Actuator::Shared::run_one(Worker& self, Key key, std::unique_lock<std::mutex>& lock) {
  auto& slot = slots.at(key);  // a map node does not move
  const Order order = *std::exchange(slot.waiting, std::nullopt);
  slot.running = true;
  self.order = &order;
  self.interrupted = false;
  self.started_at = Clock::now();
  self.next_interrupt = self.started_at + self.lane->deadline;
  if (self.next_interrupt < watch_wakes_at) watch.notify_one();

  lock.unlock();
  auto receipt = writer->apply(order);
  const auto finished_at = Clock::now();
  lock.lock();

  self.order = nullptr;
  slot.running = false;
  receipt.interrupted = self.interrupted;
  if (receipt.error_number == EINTR) receipt.result = Receipt::Result::timed_out;
  if (self.overdue) {  // the second receipt, with the final result
    self.overdue = false;
    --overdue;
    slot.stuck = false;
    ++unanswered;
    ++self.lane->workers;
  }
  answer(identified(std::move(receipt), order, self.started_at, finished_at));
  if (!slot.waiting) {
    slots.erase(key);
  } else {
    self.lane->queue.push_back(key);
    self.lane->work.notify_one();
  }
}

void Actuator::Shared::interrupt_or_give_up(Worker& worker, Clock::time_point now) {
  if (worker.overdue) {
    worker.next_interrupt = now + kInterruptOverdueEvery;
    ::pthread_kill(worker.thread, kInterrupt);
    return;
  }
  const auto deadline = std::min(worker.started_at + worker.lane->deadline, latest_deadline);
  const auto given_up_at = deadline + options.grace;
  if (now >= given_up_at) {
    give_up(worker, now);
    return;
  }
  worker.interrupted = true;
  worker.next_interrupt = std::min<Clock::time_point>(now + kInterruptEvery, given_up_at);
  ::pthread_kill(worker.thread, kInterrupt);
}

// Answers the order now, and again when its write returns. The lane continues with another thread.
void Actuator::Shared::give_up(Worker& worker, Clock::time_point now) {
  auto& lane = *worker.lane;
  worker.overdue = true;
  ++overdue;
  --lane.workers;

  auto& slot = slots.at(key_of(*worker.order));
  slot.stuck = true;
  Receipt receipt;
  receipt.result = Receipt::Result::timed_out;
  receipt.may_land = true;
  receipt.error_number = ETIMEDOUT;
  answer(identified(std::move(receipt), *worker.order, worker.started_at, now));
  if (slot.waiting) answer_busy(*std::exchange(slot.waiting, std::nullopt));

  if (!stopping && overdue <= options.max_overdue) (void)start_worker(lane);
  if (lane.workers == 0) {
    for (const auto& key : std::exchange(lane.queue, {})) {
      answer_busy(*slots.at(key).waiting);
      slots.erase(key);
    }
  }
  changed.notify_all();
}

void Actuator::Shared::watch_over() {
  prepare_thread("sluice-watch");
  std::unique_lock lock(mutex);
  while (!stopping || cpu.workers + memory.workers > 0) {
    const auto now = Clock::now();
    watch_wakes_at = Clock::time_point::max();
    for (auto it = workers.begin(); it != workers.end(); ++it) {
      const auto worker = *it;  // the loop may append a worker
      if (worker->order && worker->next_interrupt <= now) interrupt_or_give_up(*worker, now);
      if (worker->order) watch_wakes_at = std::min(watch_wakes_at, worker->next_interrupt);
    }
    if (watch_wakes_at == Clock::time_point::max()) {
      watch.wait(lock);
    } else {
      watch.wait_until(lock, watch_wakes_at);
    }
  }
}

Actuator::Actuator(std::shared_ptr<KnobWriter> writer, ActuatorOptions options)
    : shared_(std::make_shared<Shared>(std::move(writer), options)) {
  install_interrupt_handler();
  const std::lock_guard lock(shared_->mutex);
  shared_->memory.workers_wanted = std::max<std::size_t>(options.memory_threads, 1);
  for (auto* lane : {&shared_->cpu, &shared_->memory}) {
    while (lane->workers < lane->workers_wanted && shared_->start_worker(*lane)) {
    }
  }
  shared_->watchdog = std::thread([shared = shared_] { shared->watch_over(); });
}

Actuator::~Actuator() {
  {
    std::unique_lock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->latest_deadline = Clock::now();
    for (const auto& worker : shared_->workers) worker->next_interrupt = shared_->latest_deadline;
    shared_->watch.notify_all();
    for (auto* lane : {&shared_->cpu, &shared_->memory}) {
      lane->queue.clear();
      lane->work.notify_all();
    }
    shared_->changed.wait(lock, [&] { return shared_->cpu.workers + shared_->memory.workers == 0; });
    shared_->watch.notify_all();
  }
  shared_->watchdog.join();
}

void Actuator::submit(Order order) {
  const std::lock_guard lock(shared_->mutex);
  shared_->submit(std::move(order));
}

void Actuator::submit(std::vector<Order> orders) {
  const std::lock_guard lock(shared_->mutex);
  for (auto& order : orders) shared_->submit(std::move(order));
}

int Actuator::wake_fd() const {
  return shared_->wake.get();
}

std::vector<Receipt> Actuator::drain() {
  const std::lock_guard lock(shared_->mutex);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto n = ::read(shared_->wake.get(), &count, sizeof count);
  return std::exchange(shared_->receipts, {});
}

bool Actuator::wait_idle(Nsec timeout) {
  std::unique_lock lock(shared_->mutex);
  return shared_->changed.wait_for(lock, timeout, [&] { return shared_->unanswered == 0; });
}

std::size_t Actuator::overdue() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->overdue;
}

}  // namespace sluice::actuate
