// Threads that receive no signals: SIGTERM and others go to the main thread.
#pragma once

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

namespace sluice::process {

// The thread is never joined, so `function` must own or share what it uses. False: no thread could be
// created, and `function` was dropped.
template <class Function>
bool run_detached(Function function) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  bool runs = true;
  try {
    std::thread(std::move(function)).detach();
  } catch (const std::system_error&) {
    runs = false;
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  return runs;
}

}  // namespace sluice::process
