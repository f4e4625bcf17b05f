// lutra: reader.hpp - a JSON value as a config.
// SPDX-License-Identifier: Apache-2.0
//
// A member left out keeps its default; null turns off what can be off (an empty map for maps). Unknown keys,
// wrong types and values outside their range raise invalid_argument naming the path, e.g.
// "quantization_config.global_config.op_input_spec['*'].dtype", and the nearest known key.
#pragma once

#include <lutra/core/progress.hpp>
#include <lutra/graph/json/fields.hpp>
#include <lutra/graph/json/text.hpp>
#include <lutra/number/finite.hpp>
#include <mutex>
#include <set>

namespace lutra::inline LUTRA_ABI {

class json_reader {
 public:
  // Notes about keys of the reference that have no effect go to `log`.
  static json_reader root(std::string name, const log_sink& log) {
    return json_reader(std::move(name), log);
  }

  template <class S>
  requires requires(json_reader& f, S& s) { list_fields(f, s); }
  void read(const json_value& j, S& s) const {
    if constexpr (requires { s.enabled; }) {
      s.enabled = !j.is_null();
      if (!s.enabled) return;
    }
    if (!j.is_object()) wrong_type(j, "an object");
    json_reader fields(where_, log_, &j);
    list_fields(fields, s);
    for (const foreign_key& f : foreign_keys<S>()) fields.accept(f);
    fields.refuse_unknown();
  }
  template <class Key, class Value>
  void read(const json_value& j, config_map<Key, Value>& map) const {
    map = {};
    if (j.is_null()) return;
    if (!j.is_object()) wrong_type(j, "an object or null");
    for (const auto& [key, value] : j.items()) {
      Value made{};
      inside("['" + key + "']").read(value, made);
      const Key k(key);
      if (map.find(k) != nullptr) bad("a key occurs twice", text_of(std::string_view(key)));
      map.set(k, std::move(made));
    }
  }
  template <class T> void read(const json_value& j, std::optional<T>& x) const {
    if (j.is_null()) {
      x.reset();
    } else {
      read(j, x.emplace());
    }
  }
  void read(const json_value& j, bool& x) const {
    if (!j.is_boolean()) wrong_type(j, "true or false");
    x = j.get<bool>();
  }
  void read(const json_value& j, index_t& x) const { x = integer(j, nullptr); }
  void read(const json_value& j, int& x) const {
    const index_t wide = integer(j, nullptr);
    x = static_cast<int>(wide);
    if (x != wide) bad("a number is out of range", text_of(wide), "32-bit integers");
  }
  void read(const json_value& j, double& x) const {
    if (!j.is_number()) wrong_type(j, "a number");
    x = j.get<double>();
  }
  void read(const json_value& j, float& x) const {
    double wide = 0;
    read(j, wide);
    x = static_cast<float>(wide);
    if (!is_finite(x)) bad("a number is out of range", text_of(wide), "finite floats");
  }
  void read(const json_value& j, std::string& x) const { x = text(j); }
  // Keys of observers outlive the document, as a spec only refers to its key.
  void read(const json_value& j, std::string_view& x) const { x = kept(text(j)); }
  void read(const json_value& j, dtype& x) const {
    const std::string name = text(j);
    constexpr dtype last = dtype::float32;
    std::vector<std::string_view> names = {"float8_e4m3", "float8_e8m0", "float4_e2m1fn_x2"};
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      names.push_back(name_of(static_cast<dtype>(i)));
    }
    one_of(name, names);
    x = parse_dtype(name);
  }
  void read(const json_value& j, qscheme& x) const {
    x = static_cast<qscheme>(
        one_of(text(j), {"symmetric", "symmetric_with_clipping", "asymmetric"}));
  }
  void read(const json_value& j, qformulation& x) const {
    x = static_cast<qformulation>(one_of(text(j), {"zp", "minval"}));
  }
  void read(const json_value& j, e8m0_rule& x) const {
    x = static_cast<e8m0_rule>(one_of(text(j), {"floor", "ceil", "even", "up"}));
  }
  void read(const json_value& j, scale_floor& x) const {
    x = static_cast<scale_floor>(one_of(text(j), {"absolute", "relative"}));
  }
  void read(const json_value& j, short_groups& x) const {
    x = static_cast<short_groups>(one_of(text(j), {"forbid", "allow"}));
  }
  void read(const json_value& j, float_range_t& x) const {
    if (!j.is_array() || j.size() != 2) wrong_type(j, "[lo, hi], each a number or null");
    inside("[0]").read(j[0], x.lo);
    inside("[1]").read(j[1], x.hi);
  }
  void read(const json_value& j, granularity& g) const {
    if (!j.is_object() || !j.contains("type")) wrong_type(j, "an object with the key 'type'");
    static constexpr std::string_view types[] = {"per_tensor", "per_channel", "per_block",
                                                 "per_grouped_channel"};
    json_reader fields(where_, log_, &j);
    std::string type;
    fields("type", type);
    std::optional<int> axis;
    switch (static_cast<granularity_kind>(fields.inside(".type").one_of(type, types))) {
      case granularity_kind::per_tensor:
        fields("axis", axis);
        if (axis) {
          fields.inside(".axis").bad("per_tensor has no axis", text_of(*axis), "null, or absent");
        }
        g = granularity::per_tensor();
        break;
      case granularity_kind::per_channel:
        fields("axis", axis);
        g = granularity::per_channel(axis);
        break;
      case granularity_kind::per_block:
        fields("axis", axis);
        g = fields.block("block_size", axis);
        break;
      case granularity_kind::per_grouped_channel:
        fields("axis", axis);
        g = granularity::per_grouped_channel(fields.size_field("group_size"), axis);
        break;
    }
    fields.refuse_unknown();
  }

  // What list_fields calls.
  template <class T> void operator()(const char* key, T& member) {
    known_.push_back(key);
    const auto it = object_->find(key);
    if (it != object_->end()) inside("." + std::string(key)).read(*it, member);
  }

 private:
  json_reader(std::string where, const log_sink& log, const json_value* object = nullptr)
      : where_(std::move(where)), log_(log), object_(object) {}
  json_reader inside(const std::string& step) const { return json_reader(where_ + step, log_); }

  void accept(const foreign_key& f) {
    known_.push_back(f.key);
    const auto it = object_->find(f.key);
    if (it == object_->end()) return;
    const bool nothing = f.only != nullptr && *f.only == '\0';
    const bool fits = nothing ? it->empty() : f.only == nullptr || it->dump() == f.only;
    if (!fits) {
      raise(errc::unsupported, "this value has no counterpart here", where_ + "." + f.key,
            it->dump(), nothing ? "null, or empty" : f.only);
    }
    if (f.only == nullptr) {
      log(log_, log_level::warning, where_ + "." + f.key + " has no effect: " + f.why);
    }
  }
  void refuse_unknown() const {
    for (const auto& item : object_->items()) {
      const std::string_view key = item.key();
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      bad("unknown key", text_of(key), list_of(known_) + did_you_mean(key, known_));
    }
  }
  granularity block(const char* key, std::optional<int> axis) {
    known_.push_back(key);
    const auto it = object_->find(key);
    if (it == object_->end()) bad("a key is missing", "none", key);
    const json_reader at = inside("." + std::string(key));
    if (!it->is_array()) {
      return granularity::per_block(at.size_of(*it, "an integer or an array", false), axis);
    }
    if (axis) {
      inside(".axis").bad("an axis beside a block size per axis", text_of(*axis), "absent");
    }
    if (it->size() > to_size(max_rank)) {
      at.bad("too many block sizes", text_of(it->size()), "at most " + text_of(max_rank));
    }
    std::vector<index_t> sizes;
    for (const json_value& size : *it) {
      const json_reader one = at.inside("[" + text_of(sizes.size()) + "]");
      sizes.push_back(one.size_of(size, nullptr, true));
    }
    return granularity::per_block(sizes);
  }
  index_t size_field(const char* key) {
    known_.push_back(key);
    const auto it = object_->find(key);
    if (it == object_->end()) bad("a key is missing", "none", key);
    return inside("." + std::string(key)).size_of(*it, nullptr, false);
  }
  // Of a block or group; -1 where the whole extent may be meant.
  index_t size_of(const json_value& j, const char* expected, bool or_whole) const {
    const index_t size = integer(j, expected);
    if (size < 1 && !(or_whole && size == -1)) {
      bad("a size is out of range", text_of(size), or_whole ? ">= 1, or -1" : ">= 1");
    }
    return size;
  }
  index_t integer(const json_value& j, const char* expected) const {
    if (!j.is_number_integer()) wrong_type(j, expected != nullptr ? expected : "an integer");
    if (j.is_number_unsigned() && j.get<std::uint64_t>() > 0x7FFFFFFFFFFFFFFFU) {
      bad("a number is out of range", j.dump(), "64-bit integers");
    }
    return j.get<index_t>();
  }
  std::string text(const json_value& j) const {
    if (!j.is_string()) wrong_type(j, "a string");
    return j.get<std::string>();
  }
  std::size_t one_of(std::string_view word, std::span<const std::string_view> names) const {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == word) return i;
    }
    bad("unknown name", text_of(word), list_of(names) + did_you_mean(word, names));
  }
  std::size_t one_of(std::string_view word, std::initializer_list<std::string_view> names) const {
    return one_of(word, std::span<const std::string_view>(names.begin(), names.size()));
  }
  [[noreturn]] void wrong_type(const json_value& j, const char* expected) const {
    std::string value = j.dump(-1, ' ', false, json_value::error_handler_t::replace);
    if (value.size() > 60) value = value.substr(0, 57) + "...";
    bad("wrong type", std::move(value), expected);
  }
  [[noreturn]] void bad(const char* what, std::string value, std::string allowed = {}) const {
    raise(errc::invalid_argument, what, where_, std::move(value), std::move(allowed));
  }
  static std::string list_of(std::span<const std::string_view> names) {
    std::string list;
    for (const std::string_view name : names)
      list += (list.empty() ? "" : ", ") + std::string(name);
    return list;
  }
  static std::string_view kept(const std::string& key) {
    static std::mutex mutex;
    static std::set<std::string> keys;
    const std::lock_guard lock(mutex);
    return *keys.insert(key).first;
  }

  std::string where_;
  const log_sink& log_;
  const json_value* object_ = nullptr;
  std::vector<std::string_view> known_;
};

}  // namespace lutra::inline LUTRA_ABI
