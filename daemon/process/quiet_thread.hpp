// Threads that get no signals: SIGTERM and its kin belong to the main thread.
#pragma once

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

namespace sluice::process {

// Nobody waits for it: what it uses, it must own or share. False: there is no thread to be had, and
// `function` was dropped.
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
