// The line protocol by which a test controls a mounted host: one command per line, one reply line ("ok ...",
// "error ...", or a JSON object). README.md lists the commands.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <tl/expected.hpp>

#include "tests/simhost/fuse_fs.hpp"

namespace sluice::simhost {

class Control {
 public:
  explicit Control(FuseFs& fs) : fs_(fs) {}
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Listens on a unix socket; replaces an old socket at that path.
  tl::expected<void, std::string> listen(const std::string& path);
  std::string answer(std::string_view line);

 private:
  void serve();

  FuseFs& fs_;
  std::string path_;
  int listener_ = -1;
  int stop_fd_ = -1;
  std::thread thread_;
};

}  // namespace sluice::simhost
