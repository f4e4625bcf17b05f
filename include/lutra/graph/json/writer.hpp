// lutra: writer.hpp - a config as a JSON value. Every member is written, defaults too.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <charconv>
#include <lutra/graph/json/fields.hpp>
#include <lutra/graph/json/text.hpp>

namespace lutra::inline LUTRA_ABI {

class json_writer {
 public:
  // null if it is off.
  template <class S>
  requires requires(json_writer& f, const S& s) { list_fields(f, s); }
  static json_value write(const S& s) {
    if constexpr (requires { s.enabled; }) {
      if (!s.enabled) return nullptr;
    }
    json_writer w;
    list_fields(w, s);
    return std::move(w.object_);
  }
  template <class Key, class Value> static json_value write(const config_map<Key, Value>& map) {
    json_value object = json_value::object();
    for (const auto& e : map) object[key_of(e.key)] = write(e.value);
    return object;
  }
  template <class T> static json_value write(const std::optional<T>& x) {
    return x ? write(*x) : json_value(nullptr);
  }
  static json_value write(bool x) { return x; }
  static json_value write(int x) { return x; }
  static json_value write(index_t x) { return x; }
  static json_value write(double x) { return x; }
  // 0.01F as 0.01, not as the double nearest to that float.
  static json_value write(float x) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), x).ptr;
    double nearest = 0;
    std::from_chars(text.data(), end, nearest);
    return nearest;
  }
  static json_value write(std::string_view x) { return std::string(x); }
  static json_value write(dtype x) { return std::string(name_of(x)); }
  static json_value write(qscheme x) { return std::string(name_of(x)); }
  static json_value write(qformulation x) { return x == qformulation::zp ? "zp" : "minval"; }
  static json_value write(e8m0_rule x) {
    constexpr const char* names[] = {"floor", "ceil", "even", "up"};
    return names[static_cast<std::size_t>(x)];
  }
  static json_value write(scale_floor x) {
    return x == scale_floor::relative ? "relative" : "absolute";
  }
  static json_value write(short_groups x) { return x == short_groups::allow ? "allow" : "forbid"; }
  static json_value write(const float_range_t& x) {
    return json_value::array({write(x.lo), write(x.hi)});
  }
  static json_value write(const granularity& g) {
    json_value object = json_value::object();
    const auto axis = [&] { object["axis"] = write(g.axis()); };
    switch (g.kind()) {
      case granularity_kind::per_tensor:
        object["type"] = "per_tensor";
        break;
      case granularity_kind::per_channel:
        object["type"] = "per_channel";
        axis();
        break;
      case granularity_kind::per_grouped_channel:
        object["type"] = "per_grouped_channel";
        object["group_size"] = g.block_size();
        axis();
        break;
      case granularity_kind::per_block:
        object["type"] = "per_block";
        if (g.is_tuple()) {
          json_value sizes = json_value::array();
          for (int i = 0; i < g.tuple().rank(); ++i) {
            sizes.push_back(g.tuple()[i] == 0 ? -1 : g.tuple()[i]);
          }
          object["block_size"] = std::move(sizes);
        } else {
          object["block_size"] = g.block_size();
          axis();
        }
        break;
    }
    return object;
  }

  // What list_fields calls.
  template <class T> void operator()(const char* key, const T& member) {
    object_[key] = write(member);
  }

 private:
  static std::string key_of(const std::string& k) { return k; }
  static std::string key_of(const operand_key& k) {
    if (k.any()) return "*";
    return k.is_position() ? text_of(k.position()) : std::string(k.name());
  }
  json_value object_ = json_value::object();
};

}  // namespace lutra::inline LUTRA_ABI
