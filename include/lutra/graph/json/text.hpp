// lutra: text.hpp - JSON text to a value, with what the parser alone would let pass made an error.
// SPDX-License-Identifier: Apache-2.0
//
// Needs nlohmann-json >= 3.9 (its ordered form: the order of config entries has a meaning). A key that occurs
// twice in an object, nesting deeper than 64 and text that is not JSON raise invalid_argument with the
// path of the object or the position; nothing else is judged here.
#pragma once

#include <algorithm>
#include <deque>
#include <lutra/core/error.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>

namespace lutra::inline LUTRA_ABI {

using json_value = nlohmann::ordered_json;

// Follows the parser's events; stops it at the first thing that is wrong.
class json_checker {
 public:
  static constexpr std::size_t deepest = 64;
  explicit json_checker(std::size_t size) : size_(size) {}

  bool null() { return item(); }
  bool boolean(bool) { return item(); }
  bool number_integer(json_value::number_integer_t) { return item(); }
  bool number_unsigned(json_value::number_unsigned_t) { return item(); }
  bool number_float(json_value::number_float_t, const std::string&) { return item(); }
  bool string(std::string&) { return item(); }
  bool binary(json_value::binary_t&) { return item(); }
  bool start_object(std::size_t) { return enter(); }
  bool key(std::string& name) {
    level& here = open_.back();
    const auto [at, inserted] = here.keys.insert(name);
    here.key = &*at;
    if (inserted) return true;
    problem = "a key occurs twice";
    value = text_of(std::string_view(name));
    path = path_of_object();
    return false;
  }
  bool end_object() { return leave(); }
  bool start_array(std::size_t) { return enter(); }
  bool end_array() { return leave(); }
  template <class Exception>
  bool parse_error(std::size_t at, const std::string& token, Exception&&) {
    problem = "the text is not JSON";
    value = at > size_ ? "the end of the text" : text_of(std::string_view(token));
    value += " at byte " + text_of(static_cast<index_t>(at));
    return false;
  }

  std::string problem;  // empty: nothing wrong
  std::string value;
  std::string path;  // of the object; empty: the outermost one, or not known

 private:
  // An open object or array.
  struct level {
    std::unordered_set<std::string> keys;
    const std::string* key = nullptr;  // the last one; of arrays none
    index_t items = 0;                 // values so far
  };

  bool item() {
    if (!open_.empty()) ++open_.back().items;
    return true;
  }
  bool enter() {
    item();
    open_.emplace_back();
    if (open_.size() <= deepest) return true;
    problem = "the JSON text is nested too deeply";
    value = "more than " + text_of(static_cast<index_t>(deepest)) + " levels";
    return false;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }
  // "a.b[2]['*']": keys that are words behind a point, others in quotes.
  std::string path_of_object() const {
    const auto word = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    std::string text;
    for (std::size_t i = 0; i + 1 < open_.size(); ++i) {
      const level& l = open_[i];
      if (l.key == nullptr) {
        text += "[" + text_of(l.items - 1) + "]";
      } else if (!l.key->empty() && std::all_of(l.key->begin(), l.key->end(), word)) {
        text += (text.empty() ? "" : ".") + *l.key;
      } else {
        text += "['" + *l.key + "']";
      }
    }
    return text;
  }
  std::size_t size_;        // of the text
  std::deque<level> open_;  // levels stay where they are: keys are pointed to
};

inline json_value parse_json(std::string_view text, std::string_view where) {
  json_checker checker(text.size());
  if (!json_value::sax_parse(text, &checker)) {
    raise(errc::invalid_argument, checker.problem,
          checker.path.empty() ? std::string(where) : checker.path, checker.value);
  }
  return json_value::parse(text);
}

}  // namespace lutra::inline LUTRA_ABI
