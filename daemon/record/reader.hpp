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
  // The next entry; none: end of file. After a Problem nothing more can be read; earlier entries are valid.
  tl::expected<std::optional<Entry>, Problem> next();
  // At the end of the file: the reason of an orderly end. None: the daemon was killed, or still records.
  [[nodiscard]] const std::optional<std::string>& end() const;

 private:
  struct Impl;
  explicit Reader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::record
