// Threads that get no signals: SIGTERM and its kin belong to the main thread.
#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace sluice::process {

// Nobody waits for it: what it uses, it must own or share.
template <class Function>
void run_detached(Function function) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  std::thread(std::move(function)).detach();
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

}  // namespace sluice::process
