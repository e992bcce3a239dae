#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "daemon/ctl/commands.hpp"

namespace sluice::ctl {

int doctor(const std::string& bus, const std::vector<std::string>& arguments) {
  // Next to this program, as built or as installed; otherwise in root's usual path.
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  std::vector<std::string> words{"sluiced", "--doctor", "--bus=" + bus};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  for (const auto& program : {here / "sluiced", here.parent_path() / "sbin" / "sluiced"})
    ::execv(program.c_str(), argv.data());
  ::execvp("sluiced", argv.data());
  return fail(fmt::format("sluiced cannot be run: {}. It belongs to sbin, beside {}", std::strerror(errno),
                          here.string()),
              kFailed);
}

}  // namespace sluice::ctl
