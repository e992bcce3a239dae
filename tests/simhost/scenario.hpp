// The tasks that a host starts with.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {

struct Scenario {
  std::vector<TaskSpec> tasks;
  std::vector<std::string> cgroups;  // without a task
};

// "demo", "empty", or the path of a TOML file (see README.md). An error names file, line, key and cure.
tl::expected<Scenario, std::string> load_scenario(const std::string& name);
tl::expected<void, std::string> populate(Host& host, const Scenario& scenario);

// Sets one property of a task. Scenario files and the control socket use the same keys: threads=4,
// load=diurnal:...
tl::expected<void, std::string> set_task_key(TaskSpec& spec, std::string_view key, std::string_view value);
tl::expected<double, std::string> parse_bytes(std::string_view text);  // "8GiB", "512MiB", "4096"

}  // namespace sluice::simhost
