// lutra examples: strict_json.hpp - JSON in which every surprise is a lutra::error.
// SPDX-License-Identifier: Apache-2.0
//
// Parsing refuses duplicate keys (plain nlohmann keeps the last one silently); the accessors refuse
// absent members, wrong types and numbers outside a range.
#pragma once

#include <lutra/tensor/shape.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lutra_examples {

using json = nlohmann::json;

[[noreturn]] inline void bad_json(std::string what, const std::string& where,
                                  std::string value = {}) {
  lutra::raise(lutra::errc::corrupt_data, std::move(what), where, std::move(value));
}

inline json parse_strict_json(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second) {
      bad_json("duplicate key", where, lutra::text_of(parsed.get<std::string>()));
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& e) {
    bad_json(std::string("not JSON: ") + e.what(), where);
  }
}

inline const json& member(const json& object, const char* key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) bad_json("missing member", where, key);
  return object.at(key);
}
inline const json& list(const json& value, const std::string& where) {
  if (!value.is_array()) bad_json("a list is needed", where, value.dump().substr(0, 60));
  return value;
}
inline std::string text(const json& value, const std::string& where) {
  if (!value.is_string()) bad_json("text is needed", where, value.dump().substr(0, 60));
  return value.get<std::string>();
}
inline bool flag(const json& value, const std::string& where) {
  if (!value.is_boolean()) bad_json("true or false is needed", where, value.dump().substr(0, 60));
  return value.get<bool>();
}
inline lutra::index_t integer(const json& value, lutra::index_t lo, lutra::index_t hi,
                              const std::string& where) {
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <= std::uint64_t{1} << 62
                        : value.is_number_integer();
  if (!fits || value.get<lutra::index_t>() < lo || value.get<lutra::index_t>() > hi) {
    lutra::raise(lutra::errc::corrupt_data, "integer out of range", where,
                 value.dump().substr(0, 60), lutra::range_text(lo, hi));
  }
  return value.get<lutra::index_t>();
}
inline double number(const json& value, const std::string& where) {
  if (!value.is_number()) bad_json("a number is needed", where, value.dump().substr(0, 60));
  return value.get<double>();
}

}  // namespace lutra_examples
