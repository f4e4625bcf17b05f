// lutra: check_config.hpp - what a quantizer config may say, checked before any graph is read.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/graph/config.hpp>
#include <lutra/observe/observer_keys.hpp>
#include <string>

namespace lutra::inline LUTRA_ABI {

class config_checker {
 public:
  // `observers`: the observer a spec names must be registered by now.
  explicit config_checker(bool observers = false) : observers_(observers) {}
  template <class Config> void check_levels(const Config& config, const char* what) const {
    check_module(config.global_config, std::string(what) + ".global_config");
    unique(config.module_type_configs, std::string(what) + ".module_type_configs");
    for (const auto& e : config.module_type_configs) {
      const std::string where = what + (".module_type_configs[" + e.key) + "]";
      if (e.key.find('.') == std::string::npos) {
        raise(errc::invalid_argument, "a module type needs its full name", where,
              text_of(std::string_view(e.key)), "a name with a dot");
      }
      check_module(e.value, where);
    }
    unique(config.module_name_configs, std::string(what) + ".module_name_configs");
    for (const auto& e : config.module_name_configs) {
      check_module(e.value, what + (".module_name_configs[" + e.key) + "]");
    }
  }
  template <class Map> static void refuse_in_global(const Map& map, const char* field) {
    if (!map.empty()) {
      raise(errc::invalid_argument, "module-level specs are not allowed in global_config", field,
            text_of(static_cast<index_t>(map.size())) + " entries", "none");
    }
  }

 private:
  void check_module(const module_config& m, const std::string& where) const {
    check_op(m, where);
    check_ops(m, where);
    positions(m.module_input_spec, where + ".module_input_spec");
    positions(m.module_output_spec, where + ".module_output_spec");
    specs(m.module_state_spec, where + ".module_state_spec");
    if (m.qat_schedule) lutra::check(*m.qat_schedule, where + ".qat_schedule");
  }
  void check_module(const palettizer_module_config& m, const std::string& where) const {
    specs(m.op_state_spec, where + ".op_state_spec");
    specs(m.module_state_spec, where + ".module_state_spec");
    check_ops(m, where);
  }
  template <class Module> void check_ops(const Module& m, const std::string& where) const {
    unique(m.op_type_config, where + ".op_type_config");
    unique(m.op_name_config, where + ".op_name_config");
    for (const auto& e : m.op_type_config) {
      check_op(e.value, where + ".op_type_config[" + e.key + "]");
    }
    for (const auto& e : m.op_name_config) {
      check_op(e.value, where + ".op_name_config[" + e.key + "]");
    }
  }
  void check_op(const palettizer_op_config& c, const std::string& where) const {
    specs(c.op_state_spec, where + ".op_state_spec");
  }
  template <class Op> void check_op(const Op& c, const std::string& where) const {
    specs(c.op_state_spec, where + ".op_state_spec");
    positions(c.op_input_spec, where + ".op_input_spec");
    positions(c.op_output_spec, where + ".op_output_spec");
    for (const auto& e : c.op_output_spec) {
      if (e.key.is_position() && e.key.position() != 0) {
        raise(errc::unsupported, "only output 0 can be addressed", where + ".op_output_spec",
              text_of(e.key), "'*', 0");
      }
    }
  }
  void positions(const spec_map& map, const std::string& where) const {
    for (const auto& e : map) {
      if (!e.key.any() && !e.key.is_position()) {
        raise(errc::unsupported, "operands cannot be addressed by name", where, text_of(e.key),
              "'*' or a position");
      }
    }
    specs(map, where);
  }
  template <class Map> void specs(const Map& map, const std::string& where) const {
    unique(map, where);
    for (const auto& e : map) {
      if (!e.value.enabled) continue;
      const std::string at = where + "[" + key_text(e.key) + "]";
      check(e.value, at);
      check_observer(e.value, at);
    }
  }
  void check_observer(const quantization_spec& s, const std::string& where) const {
    if (observers_) check_observer_key(s.qparam_calculator, where + ".qparam_calculator");
  }
  void check_observer(const palettization_spec&, const std::string&) const {}
  template <class Map> static void unique(const Map& map, const std::string& where) {
    for (const auto& e : map) {
      if (map.find(e.key) != &e) {
        raise(errc::invalid_argument, "a key occurs twice", where, key_text(e.key));
      }
    }
  }
  static std::string key_text(const operand_key& k) { return text_of(k); }
  static std::string key_text(const std::string& k) { return text_of(std::string_view(k)); }

  bool observers_;
};

inline void check_with(const config_checker& checker, const quantizer_config& config) {
  checker.check_levels(config, "quantizer_config");
  const module_config& global = config.global_config;
  checker.refuse_in_global(global.module_input_spec, "module_input_spec");
  checker.refuse_in_global(global.module_output_spec, "module_output_spec");
  checker.refuse_in_global(global.module_state_spec, "module_state_spec");
}
// Raises invalid_argument or unsupported naming the field.
inline void check(const quantizer_config& config) { check_with(config_checker(), config); }
// Before a config is used: also for an observer that is not registered by now. Reading a config does not ask for that.
inline void check_to_use(const quantizer_config& config) {
  check_with(config_checker(true), config);
}
inline void check(const palettizer_config& config) {
  config_checker().check_levels(config, "palettizer_config");
  config_checker::refuse_in_global(config.global_config.module_state_spec, "module_state_spec");
}
inline void check(const joint_config& config) {
  check(config.weights);
  check(config.activations);
}

}  // namespace lutra::inline LUTRA_ABI
