// lutra: fields.hpp - the keys of every config aggregate, listed once for reading and for writing.
// SPDX-License-Identifier: Apache-2.0
//
// list_fields(f, aggregate) calls f(key, member) for every member a document may name, in the reference's
// spelling. `enabled` is not among them: off is null.
#pragma once

#include <lutra/graph/config.hpp>
#include <span>
#include <type_traits>

namespace lutra::inline LUTRA_ABI {

// The aggregate T, constant or not.
template <class S, class T>
concept a_config = std::is_same_v<std::remove_const_t<S>, T>;

template <class F, a_config<scale_rules> S> void list_fields(F& f, S& s) {
  f("e8m0", s.e8m0);
  f("no_clipping", s.no_clipping);
  f("floor", s.floor);
  f("scale_type", s.scale_type);
}
template <class F, a_config<quantization_spec> S> void list_fields(F& f, S& s) {
  f("dtype", s.dtype);
  f("qscheme", s.qscheme);
  f("qformulation", s.qformulation);
  f("granularity", s.granularity);
  f("qparam_calculator_cls", s.qparam_calculator);
  f("averaging_constant", s.averaging_constant);
  f("float_range", s.float_range);
  f("scale_dtype", s.scale_dtype);
  f("scale_rules", s.scale_rules);
  f("short_groups", s.short_groups);
}
template <class F, a_config<outlier_spec> S> void list_fields(F& f, S& s) {
  f("count", s.count);
  f("fraction", s.fraction);
  f("by_gain", s.by_gain);
}
template <class F, a_config<palettization_spec> S> void list_fields(F& f, S& s) {
  f("n_bits", s.n_bits);
  f("lut_qspec", s.lut_qspec);
  f("granularity", s.granularity);
  f("cluster_dim", s.cluster_dim);
  f("enable_per_channel_scale", s.enable_per_channel_scale);
  f("short_groups", s.short_groups);
  f("refine_lut", s.refine_lut);
  f("outliers", s.outliers);
}
template <class F, a_config<qat_schedule> S> void list_fields(F& f, S& s) {
  f("enable_observer", s.enable_observer);
  f("enable_fake_quant", s.enable_fake_quant);
  f("disable_observer", s.disable_observer);
}
template <class F, a_config<op_config> S> void list_fields(F& f, S& s) {
  f("op_state_spec", s.op_state_spec);
  f("op_input_spec", s.op_input_spec);
  f("op_output_spec", s.op_output_spec);
}
template <class F, a_config<module_config> S> void list_fields(F& f, S& s) {
  f("op_state_spec", s.op_state_spec);
  f("op_input_spec", s.op_input_spec);
  f("op_output_spec", s.op_output_spec);
  f("op_type_config", s.op_type_config);
  f("op_name_config", s.op_name_config);
  f("module_input_spec", s.module_input_spec);
  f("module_output_spec", s.module_output_spec);
  f("module_state_spec", s.module_state_spec);
  f("qat_schedule", s.qat_schedule);
}
template <class F, a_config<palettizer_op_config> S> void list_fields(F& f, S& s) {
  f("op_state_spec", s.op_state_spec);
}
template <class F, a_config<palettizer_module_config> S> void list_fields(F& f, S& s) {
  f("op_state_spec", s.op_state_spec);
  f("op_type_config", s.op_type_config);
  f("op_name_config", s.op_name_config);
  f("module_state_spec", s.module_state_spec);
}
template <class F, class S>
requires(a_config<S, quantizer_config> || a_config<S, palettizer_config>) void list_fields(F& f,
                                                                                           S& s) {
  f("global_config", s.global_config);
  f("module_type_configs", s.module_type_configs);
  f("module_name_configs", s.module_name_configs);
}

// Keys of the reference that say nothing here: their one accepted value ("": null, {} or []), or null for any.
struct foreign_key {
  const char* key;
  const char* only;  // as JSON text
  const char* why;
};
template <class S> std::span<const foreign_key> foreign_keys() noexcept {
  static constexpr foreign_key of_spec[] = {
      {"fake_quantize_cls", "\"default\"", "there is one fake-quantizer"},
      {"range_calculator_cls", "\"minmax\"", "the qparam calculator chooses the range"}};
  static constexpr foreign_key of_palettizer[] = {
      {"enable_fast_kmeans_mode", nullptr, "palettes are optimal either way"},
      {"rounding_precision", nullptr, "weights are not rounded"},
      {"op_input_spec", "", "palettes are of weights"},
      {"op_output_spec", "", "palettes are of weights"},
      {"module_input_spec", "", "palettes are of weights"},
      {"module_output_spec", "", "palettes are of weights"}};
  static constexpr foreign_key of_palettizer_op[] = {
      {"op_input_spec", "", "palettes are of weights"},
      {"op_output_spec", "", "palettes are of weights"}};
  static constexpr foreign_key of_quantizer[] = {
      {"execution_mode", "\"graph\"", "there is one mode"},
      {"preserved_attributes", "", "graphs keep what the quantizer does not name"}};
  if constexpr (std::is_same_v<S, quantization_spec>) return of_spec;
  if constexpr (std::is_same_v<S, palettizer_module_config>) return of_palettizer;
  if constexpr (std::is_same_v<S, palettizer_op_config>) return of_palettizer_op;
  if constexpr (std::is_same_v<S, quantizer_config>) return of_quantizer;
  return {};
}

}  // namespace lutra::inline LUTRA_ABI
