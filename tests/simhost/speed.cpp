// Model seconds per second of CPU time: `simhost_speed [MODEL_SECONDS]`, three tasks with 200 records a
// second each.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "tests/simhost/model.hpp"

int main(int argc, char** argv) {
  using namespace sluice;
  using namespace sluice::simhost;
  const long model_seconds = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 3'600;
  for (const Usec step : {Usec(1'000), Usec(10'000)}) {
    Host host({.cpus = 4, .step = step});
    for (const char* name : {"/a.service", "/b.service", "/c.service"}) {
      TaskSpec spec;
      spec.cgroup = name;
      spec.work.load = Load::parse("diurnal:base=50,peak=350,period=600,noise=0.1").value();
      spec.work.cost_usec = 5'000;
      spec.work.cost_sigma = 1;
      host.set_cpu_max(*host.find(host.add_task(spec).value()), 150'000'000, 100'000'000);
    }
    const std::clock_t start = std::clock();
    for (long i = 0; i < model_seconds * 10; ++i) {
      host.advance(std::chrono::milliseconds(100));
      for (const auto& task : host.tasks()) host.sample(task->cgroup->id);
    }
    const double cpu = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::printf("step %lld us: %ld model seconds in %.2f CPU seconds, %.0f per second\n",
                static_cast<long long>(step.count()), model_seconds, cpu,
                static_cast<double>(model_seconds) / cpu);
  }
}
