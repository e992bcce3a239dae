#include "tests/demo/summary.hpp"

#include "tests/demo/words.hpp"

namespace sluice::demo {

std::string summary(const Totals& totals) {
  std::string out =
      fmt::format("\n{:<9} {:>8} {:>6} {:>8} {:>9} {:>8} | {:>5} {:>7} {:>11} {:>11} | {:>9} {:>10}\n",
                  "task", "records", "late", "share", "worst", "deadline", "uses", "cpu.max", "static-peak",
                  "least fixed", "memory", "unlimited");
  TaskView sum;
  for (const auto& t : totals.tasks) {
    out += fmt::format(
        "{:<9} {:>8} {:>6} {:>8} {:>6.0f} ms {:>5.0f} ms | {:>5.2f} {:>7.2f} {:>11.2f} {:>11.2f} | {:>9} "
        "{:>10}\n",
        t.name, t.records, t.late,
        fmt::format("{:.3f} %", t.records > 0
                                    ? 100.0 * static_cast<double>(t.late) / static_cast<double>(t.records)
                                    : 0.0),
        t.worst_usec / 1e3, t.deadline_usec / 1e3, t.mean_usage_cores, t.allocated_cores, t.static_peak_cores,
        t.least_fixed_cores, bytes_text(t.memory_bytes), bytes_text(t.unlimited_memory_bytes));
    sum.records += t.records;
    sum.late += t.late;
    sum.mean_usage_cores += t.mean_usage_cores;
    sum.allocated_cores += t.allocated_cores;
    sum.static_peak_cores += t.static_peak_cores;
    sum.least_fixed_cores += t.least_fixed_cores;
    sum.memory_bytes += t.memory_bytes;
    sum.unlimited_memory_bytes += t.unlimited_memory_bytes;
  }
  out += fmt::format(
      "All of it in the {:.0f} s since the first limits were set. uses, cpu.max: cores, means. static-peak: "
      "a fixed\n"
      "limit as high as the most work that arrived in any one second. least fixed: the lowest fixed limit "
      "that would\n"
      "have kept every deadline, known only afterwards. memory: means; unlimited: what the same load held on "
      "an equal\n"
      "host that nobody governed.\n\n",
      totals.measured_seconds);

  const auto saved = [](double less, double than) { return than > 0 ? 100 * (than - less) / than : 0.0; };
  out += fmt::format("Adjustments          {} in {:.0f} s\n", totals.adjustments, totals.seconds);
  out += fmt::format(
      "Deadline violations  {} of {} records ({:.3f} %)\n", sum.late, sum.records,
      sum.records > 0 ? 100.0 * static_cast<double>(sum.late) / static_cast<double>(sum.records) : 0.0);
  out += fmt::format(
      "Cores saved          {:.2f} of {:.2f} against static-peak ({:.0f} %), {:.2f} of {:.2f} against least "
      "fixed\n",
      sum.static_peak_cores - sum.allocated_cores, sum.static_peak_cores,
      saved(sum.allocated_cores, sum.static_peak_cores), sum.least_fixed_cores - sum.allocated_cores,
      sum.least_fixed_cores);
  out += fmt::format("Memory saved         {} of {} against no limit ({:.0f} %)\n",
                     bytes_text(sum.unlimited_memory_bytes - sum.memory_bytes),
                     bytes_text(sum.unlimited_memory_bytes),
                     saved(sum.memory_bytes, sum.unlimited_memory_bytes));
  out +=
      fmt::format("Limits               {}\n", totals.given_back ? "all back at what they were before"
                                                                 : "NOT all back at what they were before");
  return out;
}

}  // namespace sluice::demo
