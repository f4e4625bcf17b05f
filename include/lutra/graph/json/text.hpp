// lutra: text.hpp - JSON text to a value, with what the parser alone would let pass made an error.
// SPDX-License-Identifier: Apache-2.0
//
// Needs nlohmann-json >= 3.9 (its ordered form: the order of config entries has a meaning). A key that occurs
// twice in an object, nesting deeper than 64 and text that is not JSON raise invalid_argument with the
// position; nothing else is judged here.
#pragma once

#include <lutra/core/error.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace lutra::inline LUTRA_ABI {

using json_value = nlohmann::ordered_json;

// Follows the parser's events; stops it at the first thing that is wrong.
class json_checker {
 public:
  static constexpr std::size_t deepest = 64;

  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(json_value::number_integer_t) { return true; }
  bool number_unsigned(json_value::number_unsigned_t) { return true; }
  bool number_float(json_value::number_float_t, const std::string&) { return true; }
  bool string(std::string&) { return true; }
  bool binary(json_value::binary_t&) { return true; }
  bool start_object(std::size_t) { return enter(); }
  bool key(std::string& name) {
    if (keys_.back().insert(name).second) return true;
    problem = "a key occurs twice";
    value = text_of(std::string_view(name));
    return false;
  }
  bool end_object() { return leave(); }
  bool start_array(std::size_t) { return enter(); }
  bool end_array() { return leave(); }
  template <class Exception>
  bool parse_error(std::size_t at, const std::string& token, Exception&&) {
    problem = "the text is not JSON";
    value = text_of(std::string_view(token)) + " at byte " + text_of(static_cast<index_t>(at));
    return false;
  }

  std::string problem;  // empty: nothing wrong
  std::string value;

 private:
  bool enter() {
    keys_.emplace_back();
    if (keys_.size() <= deepest) return true;
    problem = "the JSON text is nested too deeply";
    value = "more than " + text_of(static_cast<index_t>(deepest)) + " levels";
    return false;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  std::vector<std::unordered_set<std::string>> keys_;  // of the open objects and arrays
};

inline json_value parse_json(std::string_view text, std::string_view where) {
  json_checker checker;
  if (!json_value::sax_parse(text, &checker)) {
    raise(errc::invalid_argument, checker.problem, std::string(where), checker.value);
  }
  return json_value::parse(text);
}

}  // namespace lutra::inline LUTRA_ABI
