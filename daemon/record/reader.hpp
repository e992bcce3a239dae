// Reads a recording, line by line.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "daemon/record/entry.hpp"

namespace sluice::record {

class Reader {
 public:
  static tl::expected<Reader, Problem> open(const std::string& path);
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  [[nodiscard]] const Header& header() const;
  // None: the file is over. After a Problem there is no more; what came before it stands.
  tl::expected<std::optional<Entry>, Problem> next();
  // Once the file is over: whether an orderly end was there, and what it said. None: the daemon was killed,
  // or it still records.
  [[nodiscard]] const std::optional<std::string>& end() const;

 private:
  struct Impl;
  explicit Reader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::record
