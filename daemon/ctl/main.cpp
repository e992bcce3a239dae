// sluicectl: the bus interface of sluiced, for people. busctl can do the same.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/ctl/arguments.hpp"
#include "daemon/ctl/commands.hpp"
#include "daemon/process/standard_streams.hpp"
#include "daemon/publish/bus/bus_names.hpp"
#include "daemon/version.hpp"

namespace {

using namespace sluice;
using namespace sluice::ctl;
using std::string;

struct Options {
  Asked asked;
  bool json = false, no_color = false;
  bool names = false, verbose = false, all = false;
  std::uint32_t most = 20;
  string task, reason, hold, mode;
  std::vector<string> tasks, limits;
};

int ask(const Options& o, const std::function<int(const Commands&)>& command) {
  auto client = Client::connect(o.asked);
  if (!client) return fail(complaint(client.error(), o.asked), kFailed);
  return command(Commands(std::move(*client), o.asked, o.json));
}

std::optional<string> reason_wrong(const Options& o, const char* example) {
  if (o.reason.empty())
    return string("--reason is missing: others will ask why. Say --reason '") + example + "'";
  const auto reason = parse_reason(o.reason);
  return reason ? std::nullopt : std::optional(reason.error());
}

int pin(const Options& o) {
  const auto limits = parse_limits(o.limits);
  if (!limits) return fail(limits.error(), kUsage);
  if (o.hold.empty()) {
    return fail(
        "--for is missing: how long shall it hold? Say --for 2h, or --for infinity: until sluicectl unpin",
        kUsage);
  }
  const auto ttl_usec = parse_hold(o.hold, publish::kLongestPinUsec);
  if (!ttl_usec) return fail(ttl_usec.error(), kUsage);
  if (const auto wrong = reason_wrong(o, "release night")) return fail(*wrong, kUsage);
  return ask(o, [&](const Commands& c) { return c.pin(o.task, *limits, *ttl_usec, o.reason); });
}

// The target of suspend and resume: tasks, or the whole node.
int whom(const Options& o, const char* command) {
  if (o.all != o.tasks.empty()) {
    return fail(string(command) + " is for one or more tasks, or for --all of the node: name either", kUsage);
  }
  return kOk;
}

int suspend(const Options& o) {
  if (const int status = whom(o, "suspend"); status != kOk) return status;
  if (const auto wrong = reason_wrong(o, "looking into it")) return fail(*wrong, kUsage);
  return ask(
      o, [&](const Commands& c) { return o.all ? c.suspend_all(o.reason) : c.suspend(o.tasks, o.reason); });
}

int resume(const Options& o) {
  if (const int status = whom(o, "resume"); status != kOk) return status;
  return ask(o, [&](const Commands& c) { return o.all ? c.resume_all() : c.resume(o.tasks); });
}

// A subcommand, and the function that runs it.
struct Command {
  CLI::App* parser;
  bool can_json;
  std::function<int()> run;
};

std::vector<Command> declare(CLI::App& app, Options& o) {
  std::vector<Command> commands;
  const auto reads = [&](const char* name, const char* what, const std::function<int(const Commands&)>& run) {
    commands.push_back({app.add_subcommand(name, what), true, [&o, run] { return ask(o, run); }});
    return commands.back().parser;
  };
  const auto changes = [&](const char* name, const char* what, std::function<int()> run) {
    commands.push_back({app.add_subcommand(name, what), false, std::move(run)});
    return commands.back().parser;
  };
  const auto one_task = [&](CLI::App* command) {
    command->add_option("TASK", o.task, "As sluicectl list names it")->required();
    return command;
  };

  reads("status", "The daemon, the node, and how many tasks are in which mode",
        [](const Commands& c) { return c.status(); });
  reads("list", "Every task: what holds it up, what it uses, what it may use and why",
        [&o](const Commands& c) { return c.list(o.names); })
      ->add_flag("--names", o.names, "Names only");
  one_task(reads("show", "Every signal of a task, and how old it is",
                 [&o](const Commands& c) { return c.show(o.task); }));
  one_task(reads("explain", "Why a task holds what it holds", [&o](const Commands& c) {
    return c.explain(o.task, o.verbose);
  }))->add_flag("--verbose,-v", o.verbose, "The numbers behind it, too");
  one_task(reads("history", "A task's last changes, and why",
                 [&o](const Commands& c) { return c.history(o.task, o.most); }))
      ->add_option("-n,--lines", o.most, "The most that are shown; 0: all that are kept")
      ->capture_default_str();

  auto* pin_parser = one_task(changes("pin", "Hold limits against any load", [&o] { return pin(o); }));
  pin_parser->add_option("LIMIT", o.limits, "cpu=CORES, memory=SIZE or both: cpu=2 memory=3G");
  pin_parser->add_option("--for", o.hold, "90s, 2h, 1h30m, 1d, or infinity");
  pin_parser->add_option("--reason", o.reason, "Shown to others");
  changes("unpin", "Let the load decide again",
          [&o] { return ask(o, [&](const Commands& c) { return c.unpin(o.tasks); }); })
      ->add_option("TASK", o.tasks, "One or more")
      ->required();
  auto* suspend_parser =
      changes("suspend", "Give baselines back, and write nothing until resume", [&o] { return suspend(o); });
  suspend_parser->add_option("--reason", o.reason, "Shown to others");
  auto* resume_parser = changes("resume", "Govern again, whatever stopped it", [&o] { return resume(o); });
  for (auto* parser : {suspend_parser, resume_parser}) {
    parser->add_option("TASK", o.tasks, "One or more");
    parser->add_flag("--all", o.all, "The whole node");
  }
  changes("mode", "What sluiced does, until the next reload",
          [&o] { return ask(o, [&](const Commands& c) { return c.set_mode(o.mode); }); })
      ->add_option("MODE", o.mode, "enforce, dry-run or observe")
      ->required()
      ->check(CLI::IsMember({"enforce", "dry-run", "observe"}));
  changes("reload", "Read the configuration again, or say what is wrong with it",
          [&o] { return ask(o, [](const Commands& c) { return c.reload(); }); });
  changes("restore", "Give every baseline back and only observe",
          [&o] { return ask(o, [](const Commands& c) { return c.restore(); }); });
  changes("reexec", "Replace the running sluiced by the installed one; every limit stays in force",
          [&o] { return ask(o, [](const Commands& c) { return c.reexec(); }); });
  for (const auto& command : commands) command.parser->fallthrough();  // --json may come after the command
  auto* doctor_parser =
      app.add_subcommand("doctor", "What this host offers to Sluice: sluiced --doctor, with its options");
  doctor_parser->prefix_command();
  commands.push_back({doctor_parser, false,
                      [&o, doctor_parser] { return doctor(o.asked.bus, doctor_parser->remaining()); }});
  return commands;
}

// The first word that may have been meant as a command.
string first_word(const CLI::App& app) {
  const auto words = app.remaining();
  const auto found =
      std::find_if(words.begin(), words.end(), [](const string& word) { return !word.starts_with('-'); });
  return found == words.end() ? string() : *found;
}

// Messages of CLI11 contain what was typed.
int usage(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out, err;
  const int status = app.exit(error, out, err);
  say(out.str());
  if (status == 0) return kOk;
  if (app.get_subcommands().empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    std::vector<string> names;
    for (const auto* command : app.get_subcommands({})) names.push_back(command->get_name());
    return fail(unknown_command(first_word(app), names), kUsage);
  }
  string text = err.str();
  text.erase(text.find_last_not_of('\n') + 1);
  return fail(text, kUsage);
}

int run(int argc, char** argv) {
  Options o;
  CLI::App app{
      "sluicectl: shows and steers sluiced.\nExit status: 0 done, 1 sluiced refused or failed, 2 bad "
      "usage, 3 some of "
      "several tasks failed",
      "sluicectl"};
  app.set_version_flag("--version", string("sluicectl ") + kVersion);
  app.add_flag("--json", o.json, "As JSON, with the names and units of the D-Bus interface");
  app.add_flag("--no-color", o.no_color, "For scripts that say so everywhere: there is no colour anyway");
  app.add_option("--bus", o.asked.bus, "D-Bus address, or \"system\"")->capture_default_str();
  app.add_option("--timeout", o.asked.patience_s, "Seconds to wait for the bus, and for an answer")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.require_subcommand(1);
  const auto commands = declare(app, o);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return usage(app, error);
  }
  for (const auto& command : commands) {
    if (!command.parser->parsed()) continue;
    if (o.json && !command.can_json) {
      return fail(command.parser->get_name() + " has nothing to show as JSON; leave --json out", kUsage);
    }
    return command.run();
  }
  return kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  process::open_closed_streams();
  int status = kFailed;
  try {
    status = run(argc, argv);
  } catch (const std::exception& error) {
    fail(error.what(), kFailed);
  }
  // Help and usage are output too.
  if (process::output_arrived()) return status;
  fail("standard output cannot be written", kFailed);
  return status == kOk ? kFailed : status;
}
