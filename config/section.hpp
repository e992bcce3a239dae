// A table of a file while it is read: its keys, what is wrong with them, and unknown keys. Private to this
// folder.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/raw.hpp"
#include "config/rules.hpp"

namespace sluice::config {

inline bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-.:@").find(c) != std::string_view::npos;
}

inline std::string path_of(std::string_view parent, std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return is_name_char(c) && c != '.' && c != ':' && c != '@';
  });
  const std::string last = bare && key.size() <= 60 ? std::string(key) : in_quotes(key);
  return parent.empty() ? last : fmt::format("{}.{}", parent, last);
}

// "task[2].cpu" as its header is written: "task.cpu".
inline std::string header(std::string path) {
  for (auto open = path.find('['); open != std::string::npos; open = path.find('['))
    path.erase(open, path.find(']') - open + 1);
  return path;
}

// The source that is read, and the report for its problems.
struct Reader {
  std::uint32_t source;
  Report& report;

  [[nodiscard]] Where where(const toml::source_region& region) const {
    return {source, region.begin.line, region.begin.column};
  }
  void wrong(const toml::node& node, std::string key, std::string_view must) const {
    report.add(where(node.source()), std::move(key), fmt::format("found {}, {}", found(node), must));
  }
};

// One table while it is read.
class Section {
 public:
  // Lets `read` take the keys that it knows, then reports the remaining ones.
  template <class Read>
  static void read(const Reader& reader, const toml::table& table, std::string path, const Read& read) {
    Section section(reader, table, std::move(path));
    read(section);
    for (const auto& [key, node] : table) {
      const auto& known = section.known_;
      if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
      reader.report.add(reader.where(key.source()), path_of(section.path_, key.str()),
                        "unknown; " + suggestion(key.str(), known, '\''));
    }
  }

  template <class T, class Rule>
  void value(std::string_view name, Slot<T>& slot, const Rule& rule) {
    const auto* node = get(name);
    if (node == nullptr) return;
    auto [value, must] = rule(*node);
    slot = {true, std::move(value), reader_.where(node->source()), path_of(path_, name)};
    if (!slot.value) reader_.wrong(*node, slot.key, must);
  }

  // Reads the table of that name. False: the key exists but is no table.
  template <class Read>
  bool table(std::string_view name, const Read& read) {
    const auto* node = get(name);
    if (node == nullptr) return true;
    if (const auto* inner = node->as_table()) {
      Section::read(reader_, *inner, path_of(path_, name), read);
      return true;
    }
    reader_.wrong(*node, path_of(path_, name),
                  fmt::format("must be a table: write [{}]", header(path_of(path_, name))));
    return false;
  }

  const toml::node* get(std::string_view name) {
    known_.push_back(name);
    return table_.get(name);
  }
  [[nodiscard]] const Reader& reader() const { return reader_; }
  [[nodiscard]] const toml::table& all() const { return table_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Section(const Reader& reader, const toml::table& table, std::string path)
      : reader_(reader), table_(table), path_(std::move(path)) {}

  const Reader& reader_;
  const toml::table& table_;
  std::string path_;
  std::vector<std::string_view> known_;
};

}  // namespace sluice::config
