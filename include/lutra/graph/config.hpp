// lutra: config.hpp - what to compress and how: configs as aggregates, keys as in the reference.
// SPDX-License-Identifier: Apache-2.0
//
// Three levels: model config, module config, op config; specs at the leaves. A field left out has its
// default; an empty map turns that group off; lutra::off in place of a spec, an op config or a module config
// turns that one off. Exactly one module config governs a node and exactly one op config inside it; nothing is
// merged (graph/resolve.hpp). Maps keep their order: a later entry wins over an earlier one.
// Value types; concurrent reads are safe.
#pragma once

#include <initializer_list>
#include <lutra/affine/spec.hpp>
#include <lutra/fake_quant/qat_schedule.hpp>
#include <lutra/palette/spec.hpp>
#include <string>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Key of an input or output spec: a position, or "*" for any. Digit strings are positions.
class operand_key {
 public:
  operand_key(int position) : position_(position) {}
  operand_key(const char* text) : operand_key(std::string(text)) {}
  operand_key(std::string text) : text_(std::move(text)) {
    if (text_ == "*") return;
    position_ = text_.empty() || text_.size() > 6 ? named : 0;
    for (const char c : text_) {
      if (position_ == named) break;
      position_ = c >= '0' && c <= '9' ? 10 * position_ + (c - '0') : named;
    }
    if (position_ != named) text_.clear();
  }
  bool any() const noexcept { return position_ == star; }
  bool is_position() const noexcept { return position_ >= 0; }
  int position() const noexcept { return position_; }
  std::string_view name() const noexcept { return text_; }  // of a refused one
  friend std::string text_of(const operand_key& k) {
    return k.is_position() ? lutra::text_of(k.position_)
                           : lutra::text_of(std::string_view(k.text_));
  }
  friend bool operator==(const operand_key&, const operand_key&) = default;

 private:
  static constexpr int star = -1;
  static constexpr int named = -2;  // kept, so that check() can name it
  int position_ = star;
  std::string text_;
};

// The key "*".
inline const operand_key& any_operand() {
  static const operand_key key("*");
  return key;
}

// A short map that keeps the order of its entries.
template <class Key, class Value> class config_map {
 public:
  using key_type = Key;
  using mapped_type = Value;
  struct entry {
    Key key;
    Value value;
    friend bool operator==(const entry&, const entry&) = default;
  };
  config_map() = default;
  config_map(off_t) {}
  config_map(std::initializer_list<entry> entries) : entries_(entries) {}

  // Replaces the entry of `key`, or appends one.
  config_map& set(Key key, Value value) {
    for (entry& e : entries_) {
      if (e.key == key) {
        e.value = std::move(value);
        return *this;
      }
    }
    entries_.push_back({std::move(key), std::move(value)});
    return *this;
  }
  // The last entry of `key`; null if there is none.
  template <class K> const entry* find(const K& key) const {
    for (std::size_t i = entries_.size(); i-- > 0;) {
      if (entries_[i].key == key) return &entries_[i];
    }
    return nullptr;
  }
  template <class F> void for_each_value(F&& f) {
    for (entry& e : entries_) f(e.value);
  }
  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  const entry& operator[](std::size_t i) const noexcept { return entries_[i]; }
  auto begin() const noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }
  friend bool operator==(const config_map&, const config_map&) = default;

 private:
  std::vector<entry> entries_;
};

template <class Value> using named_map = config_map<std::string, Value>;

using spec_map = config_map<operand_key, quantization_spec>;
using state_spec_map = named_map<quantization_spec>;  // local state name or "*"
using palette_spec_map = named_map<palettization_spec>;

// A8 and W8 of the reference.
inline constexpr quantization_spec default_activation_spec = int8_symmetric;
inline constexpr quantization_spec default_weight_spec{.granularity = granularity::per_channel(0)};

// The op types get what the global config says for them, and it says nothing of others any more.
template <class Config>
void restrict_to(Config& config, std::initializer_list<std::string_view> op_types,
                 const char* where) {
  auto& global = config.global_config;
  const auto maps = global.op_maps();
  if (op_types.size() == 0 || !global.enabled || maps.empty()) {
    raise(errc::invalid_argument, "only_for needs op types and a global config that is on", where,
          text_of(static_cast<index_t>(op_types.size())) + " op types");
  }
  auto said = std::exchange(global.op_type_config, {});
  for (const std::string_view op : op_types) {
    const auto* own = said.find(op);
    global.op_type_config.set(std::string(op), own != nullptr ? own->value : maps);
  }
  global.set_op_maps(off);
}
template <class Config>
void leave_out(Config& config, std::initializer_list<std::string_view> op_types) {
  const auto leave = [&](auto& module) {
    for (const std::string_view op : op_types) module.op_type_config.set(std::string(op), off);
  };
  const auto leave_if_on = [&](auto& module) {
    if (module.enabled) leave(module);
  };
  leave(config.global_config);
  config.module_type_configs.for_each_value(leave_if_on);
  config.module_name_configs.for_each_value(leave_if_on);
}

// ---- activation and weight quantization -----------------------------------------------------------
struct op_config {
  state_spec_map op_state_spec{{"weight", default_weight_spec}};
  spec_map op_input_spec{{"*", default_activation_spec}};
  spec_map op_output_spec{{"*", default_activation_spec}};
  bool enabled = true;

  bool empty() const noexcept {
    return op_state_spec.empty() && op_input_spec.empty() && op_output_spec.empty();
  }
  friend bool operator==(const op_config&, const op_config&) = default;
};

struct module_config {
  state_spec_map op_state_spec{{"weight", default_weight_spec}};
  spec_map op_input_spec{{"*", default_activation_spec}};
  spec_map op_output_spec{{"*", default_activation_spec}};
  named_map<op_config> op_type_config{};  // op type
  named_map<op_config> op_name_config{};  // pattern on the whole node name
  spec_map module_input_spec{};           // of the module itself, not of its descendants
  spec_map module_output_spec{};
  state_spec_map module_state_spec{};
  // When observers and fake-quant of its fake-quantizers work in training (flow/quantizer.hpp); absent:
  // always. A fake-quantizer that several modules share follows the first of them.
  std::optional<lutra::qat_schedule> qat_schedule{};
  bool enabled = true;

  op_config op_maps() const { return {op_state_spec, op_input_spec, op_output_spec}; }
  void set_op_maps(op_config maps) {
    if (!maps.enabled) maps = {off, off, off};
    op_state_spec = std::move(maps.op_state_spec);
    op_input_spec = std::move(maps.op_input_spec);
    op_output_spec = std::move(maps.op_output_spec);
  }
  friend bool operator==(const module_config&, const module_config&) = default;
};

struct quantizer_config {
  module_config global_config{};
  named_map<module_config> module_type_configs{};  // fully qualified type name
  named_map<module_config> module_name_configs{};  // pattern on the whole module path

  // Editing; each returns the config and checks nothing: check() does. `off` disables what it names.
  quantizer_config& set_global(module_config m) { return global_config = std::move(m), *this; }
  quantizer_config& set_op_type(std::string op, op_config c) {
    return global_config.op_type_config.set(std::move(op), std::move(c)), *this;
  }
  quantizer_config& set_op_name(std::string pattern, op_config c) {
    return global_config.op_name_config.set(std::move(pattern), std::move(c)), *this;
  }
  quantizer_config& set_module_type(std::string type, module_config m) {
    return module_type_configs.set(std::move(type), std::move(m)), *this;
  }
  quantizer_config& set_module_name(std::string pattern, module_config m) {
    return module_name_configs.set(std::move(pattern), std::move(m)), *this;
  }
  // Where the global config governs, only ops of these types, e.g. {"conv2d", "linear"}; raises
  // invalid_argument if it is off or says nothing. Module configs and op names keep what they say.
  quantizer_config& only_for(std::initializer_list<std::string_view> op_types) {
    return restrict_to(*this, op_types, "quantizer_config"), *this;
  }
  // Leaves ops of these types alone, in every module config there is; none is fine. Name patterns still win.
  quantizer_config& without(std::initializer_list<std::string_view> op_types) {
    return leave_out(*this, op_types), *this;
  }

  friend bool operator==(const quantizer_config&, const quantizer_config&) = default;
};

// ---- palettization ---------------------------------------------------------------------------------
struct palettizer_op_config {
  palette_spec_map op_state_spec{{"weight", palettization_spec{}},
                                 {"in_proj_weight", palettization_spec{}}};
  bool enabled = true;

  bool empty() const noexcept { return op_state_spec.empty(); }
  friend bool operator==(const palettizer_op_config&, const palettizer_op_config&) = default;
};

struct palettizer_module_config {
  palette_spec_map op_state_spec{{"weight", palettization_spec{}},
                                 {"in_proj_weight", palettization_spec{}}};
  named_map<palettizer_op_config> op_type_config{};
  named_map<palettizer_op_config> op_name_config{};
  palette_spec_map module_state_spec{};
  bool enabled = true;

  palettizer_op_config op_maps() const { return {op_state_spec}; }
  void set_op_maps(palettizer_op_config maps) {
    op_state_spec = maps.enabled ? std::move(maps.op_state_spec) : palette_spec_map(off);
  }
  friend bool operator==(const palettizer_module_config&,
                         const palettizer_module_config&) = default;
};

struct palettizer_config {
  palettizer_module_config global_config{};
  named_map<palettizer_module_config> module_type_configs{};
  named_map<palettizer_module_config> module_name_configs{};

  // Editing; each returns the config and checks nothing: check() does. `off` disables what it names.
  palettizer_config& set_global(palettizer_module_config m) {
    return global_config = std::move(m), *this;
  }
  palettizer_config& set_op_type(std::string op, palettizer_op_config c) {
    return global_config.op_type_config.set(std::move(op), std::move(c)), *this;
  }
  palettizer_config& set_op_name(std::string pattern, palettizer_op_config c) {
    return global_config.op_name_config.set(std::move(pattern), std::move(c)), *this;
  }
  palettizer_config& set_module_type(std::string type, palettizer_module_config m) {
    return module_type_configs.set(std::move(type), std::move(m)), *this;
  }
  palettizer_config& set_module_name(std::string pattern, palettizer_module_config m) {
    return module_name_configs.set(std::move(pattern), std::move(m)), *this;
  }
  // Where the global config governs, only ops of these types, e.g. {"conv2d", "linear"}; raises
  // invalid_argument if it is off or says nothing. Module configs and op names keep what they say.
  palettizer_config& only_for(std::initializer_list<std::string_view> op_types) {
    return restrict_to(*this, op_types, "palettizer_config"), *this;
  }
  // Leaves ops of these types alone, in every module config there is; none is fine. Name patterns still win.
  palettizer_config& without(std::initializer_list<std::string_view> op_types) {
    return leave_out(*this, op_types), *this;
  }

  friend bool operator==(const palettizer_config&, const palettizer_config&) = default;
};

// ---- both ------------------------------------------------------------------------------------------
// Weights palettized first, then activations quantized around them.
struct joint_config {
  palettizer_config weights{};
  quantizer_config activations{};

  friend bool operator==(const joint_config&, const joint_config&) = default;
};

}  // namespace lutra::inline LUTRA_ABI
