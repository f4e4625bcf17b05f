// lutra: spec.hpp - palettization_spec: how one weight becomes a look-up table plus indices.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/affine/spec.hpp>
#include <lutra/number/suggestion.hpp>
#include <lutra/palette/outliers.hpp>

namespace lutra::inline LUTRA_ABI {

// An aggregate; field names as in the reference's configuration.
struct palettization_spec {
  int n_bits = 4;                     // 1..8: tables of 2^n_bits entries
  quantization_spec lut_qspec = off;  // off: the table stays float
  lutra::granularity granularity{};   // per_tensor, per_grouped_channel or per_block({b0, b1, ..})
  int cluster_dim = 1;                // scalar palettes only in this version
  bool enable_per_channel_scale = false;
  lutra::short_groups short_groups = lutra::short_groups::allow;
  bool refine_lut = false;  // look for the table, codes and scale that are best in 8 bits
  outlier_spec outliers{};  // large weights kept as floats
  bool enabled = true;

  friend bool operator==(const palettization_spec&, const palettization_spec&) = default;
};

// Raises invalid_argument or unsupported naming the first field outside its range.
inline void check(const palettization_spec& s, std::string_view where) {
  const std::string at(where);
  if (s.n_bits < 1 || s.n_bits > 8) {
    raise(errc::invalid_argument, "n_bits out of range", at, text_of(s.n_bits), range_text(1, 8));
  }
  if (s.cluster_dim < 1) {
    raise(errc::invalid_argument, "cluster_dim out of range", at, text_of(s.cluster_dim), ">= 1");
  }
  if (s.cluster_dim > 1) {
    raise(errc::unsupported, "vector palettes are not in this version", at, text_of(s.cluster_dim),
          "1");
  }
  if (s.granularity.kind() != granularity_kind::per_tensor &&
      s.granularity.kind() != granularity_kind::per_grouped_channel && !s.granularity.is_tuple()) {
    raise(errc::invalid_argument, "granularity is not one of a palette", at, text_of(s.granularity),
          "per_tensor, per_grouped_channel, per_block with one size per axis");
  }
  check(s.outliers, where);
  if (!s.lut_qspec.enabled) {
    if (s.refine_lut) {
      raise(errc::invalid_argument, "refine_lut needs a quantized table", at, "lut_qspec off",
            "lut_qspec of an 8-bit type");
    }
    return;
  }
  check(s.lut_qspec, at);
  // A table is seen once, whole: the range is that of its entries, and nothing is observed.
  const std::string_view observer = s.lut_qspec.qparam_calculator;
  if (observer != "default" && observer != "static") {
    static constexpr std::string_view allowed[] = {"default", "static"};
    raise(errc::invalid_argument, "lut_qspec.qparam_calculator is not one of a table", at,
          text_of(observer), "default, static" + did_you_mean(observer, allowed));
  }
  if (bits_of(s.lut_qspec.dtype) != 8) {
    raise(errc::invalid_argument, "lut_qspec.dtype is not an 8-bit type", at,
          std::string(name_of(s.lut_qspec.dtype)), "int8, uint8, float8_e4m3fn, float8_e5m2");
  }
  if (s.lut_qspec.granularity.kind() != granularity_kind::per_tensor) {
    raise(errc::invalid_argument, "lut_qspec.granularity must be per_tensor (one scale per table)",
          at, text_of(s.lut_qspec.granularity), "per_tensor");
  }
  if (s.lut_qspec.qformulation != qformulation::zp) {
    raise(errc::invalid_argument, "lut_qspec.qformulation would lose its offset", at, "minval",
          "zp");
  }
  if (s.lut_qspec.scale_rules.scale_type != dtype::float32) {
    raise(errc::invalid_argument, "lut_qspec.scale_rules.scale_type: scales of tables are float32",
          at, std::string(name_of(s.lut_qspec.scale_rules.scale_type)), "float32");
  }
}

}  // namespace lutra::inline LUTRA_ABI
