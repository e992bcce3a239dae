#include "daemon/ctl/json.hpp"

#include <nlohmann/json.hpp>

namespace sluice::ctl {

namespace {

using Json = nlohmann::json;

Json convert(const Value& value);

struct Convert {
  Json operator()(bool flag) const { return flag; }
  Json operator()(std::uint64_t number) const { return number == kInfinity ? Json() : Json(number); }
  Json operator()(double number) const { return std::isfinite(number) ? Json(number) : Json(); }
  Json operator()(const std::string& text) const { return text; }
  Json operator()(const List& list) const {
    Json array = Json::array();
    for (const auto& item : list) array.push_back(convert(item));
    return array;
  }
  Json operator()(const Dictionary& dictionary) const {
    Json object = Json::object();
    for (const auto& [key, item] : dictionary) object[key] = convert(item);
    return object;
  }
};

Json convert(const Value& value) {
  return std::visit(Convert{}, value.is);
}

}  // namespace

std::string json(const Value& value) {
  constexpr int kIndent = 2;
  constexpr bool kAsciiOnly = true;
  return convert(value).dump(kIndent, ' ', kAsciiOnly, Json::error_handler_t::replace);
}

}  // namespace sluice::ctl
