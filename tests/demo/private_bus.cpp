#include "tests/demo/private_bus.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

namespace sluice::demo {
namespace {

// Closed like the system bus: what may be said to the daemon is said by its own policy file.
constexpr const char* kConfig =
    R"(<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path={0}/bus</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>{0}/policy.conf</include>
</busconfig>
)";

tl::expected<std::string, std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) return tl::unexpected("cannot read '" + path + "'");
  return text.str();
}

}  // namespace

tl::expected<PrivateBus, std::string> start_bus(const std::string& folder, const std::string& policy_file) {
  auto policy = read_text(policy_file);
  if (!policy) return tl::unexpected(policy.error());
  if (geteuid() != 0) {
    // Whoever runs the demo stands in for root on this bus.
    const std::string root = "user=\"root\"";
    const std::string self = fmt::format("user=\"{}\"", geteuid());
    for (std::size_t at = 0; (at = policy->find(root, at)) != std::string::npos; at += self.size())
      policy->replace(at, root.size(), self);
  }
  std::ofstream(folder + "/policy.conf") << *policy;
  std::ofstream(folder + "/bus.conf") << fmt::format(fmt::runtime(kConfig), folder);

  const std::string log = folder + "/bus.log";
  auto child =
      Child::start({"dbus-daemon", "--config-file=" + folder + "/bus.conf", "--nofork", "--nopidfile"}, log);
  if (!child) return tl::unexpected(child.error() + "; install it with: apt-get install dbus");
  struct stat is {};
  for (int i = 0; i < 500; ++i) {
    if (stat((folder + "/bus").c_str(), &is) == 0 && S_ISSOCK(is.st_mode))
      return PrivateBus{std::move(*child), "unix:path=" + folder + "/bus"};
    if (!child->running()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto said = read_text(log);
  return tl::unexpected("dbus-daemon does not start: " + said.value_or("it says nothing"));
}

}  // namespace sluice::demo
