// lutra: layer_epilogue.hpp - epilogues of a layer from its scales and its float bias.
// SPDX-License-Identifier: Apache-2.0
//
// Of row r, with s_w = row_scale(r) and row_sum(r) of the matrix, x = (q - z_x) * s_x, y = (q - z_y) * s_y, and
// B = bias[r] / (s_x * s_w) in f64:
//   multiplier  s_x * s_w / s_y (requantize_of) or s_x * s_w (dequantize_of) in f64, rounded to f32
//   bias        round(B) - z_x * row_sum(r) modulo 2^32, as sums and biases are added
//   rest        B - round(B) in f32; none without a bias
// So a code is that of exact arithmetic on the codes of input and weight, but where that lies within 2^-13 steps of
// a tie (epilogue.hpp). Of a B beyond what int32 leaves beside the largest sum, rest has all that does not fit, and
// 2^-22 |B| units of the sums may be lost. What pads x in a convolution is z_x (conv2d_options::padding_value).
// O(rows). Pure functions; thread-safe.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <lutra/runtime/epilogue.hpp>
#include <lutra/runtime/gemm/activation_scale.hpp>
#include <lutra/runtime/lut_matrix.hpp>
#include <span>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// As a float; infinite, zero or subnormal ones would turn sums into NaN or nothing. `row`, if any, is for the error.
inline float normal_multiplier(double ratio, std::string_view where, index_t row = -1) {
  constexpr float least = std::numeric_limits<float>::min();
  constexpr float most = std::numeric_limits<float>::max();
  if (!(ratio >= static_cast<double>(least) && ratio <= static_cast<double>(most))) {
    raise(errc::unsupported, "the scales around a layer give no normal multiplier",
          std::string(where), text_of(ratio) + (row < 0 ? "" : " in row " + text_of(row)),
          range_text(least, most));
  }
  return static_cast<float>(ratio);
}

// No |sum_k (q[k] - z_x) * w[r][k]| is larger, for codes and zero points of int8 or of uint8; a depth beyond that of
// uint8 is one of int8.
inline double largest_sum(const lut_matrix& w, index_t r, std::int32_t z_x) {
  constexpr double most = std::numeric_limits<std::int32_t>::max();
  const auto depth = static_cast<double>(w.depth());
  const auto of_uint8 = static_cast<double>(w.max_depth<std::uint8_t>());
  if (depth <= of_uint8) return most * depth / of_uint8;
  return most * depth / static_cast<double>(w.max_depth<std::int8_t>()) +
         std::fabs(static_cast<double>(z_x) * static_cast<double>(w.row_sum(r)));
}

// Appends multiplier, bias and rest of each row to e.
template <row_epilogue E>
void append_rows(E& e, const lut_matrix& w, const activation_scale& x, double output_scale,
                 std::span<const float> bias, std::string_view where) {
  check_activation_scale(x, -128, 255, where, " of x");
  if (!bias.empty() && std::ssize(bias) != w.rows()) {
    raise(errc::shape_mismatch, "bias needs one entry per output row", std::string(where),
          text_of(std::ssize(bias)), text_of(w.rows()));
  }
  for (index_t r = 0; r < w.rows(); ++r) {
    const auto refuse = [&](const char* what, double got, double most) {
      raise(errc::unsupported, what, std::string(where), text_of(got) + " in row " + text_of(r),
            range_text(-most, most));
    };
    const double unit = static_cast<double>(x.scale) * static_cast<double>(w.row_scale(r));
    e.multiplier.push_back(normal_multiplier(unit / output_scale, where, r));
    constexpr double largest = std::numeric_limits<std::int32_t>::max();
    const double room = largest - largest_sum(w, r, x.zero_point);
    if (room < 0) {
      refuse("products with the zero point do not fit int32", largest - room, largest);
    }
    std::int64_t whole = 0;
    if (!bias.empty()) {
      const auto real = static_cast<double>(bias[to_size(r)]);
      constexpr double finite = static_cast<double>(std::numeric_limits<float>::max());
      if (!(std::fabs(real / unit) <= finite)) {
        refuse("bias is no finite float in units of the sums", real / unit, finite);
      }
      const double integer =
          std::clamp(std::nearbyint(real / unit), -std::floor(room), std::floor(room));
      e.rest.push_back(static_cast<float>(std::fma(-integer, unit, real) / unit));
      whole = static_cast<std::int64_t>(integer);
    }
    const std::int64_t zero = std::int64_t{x.zero_point} * w.row_sum(r);
    e.bias.push_back(static_cast<std::int32_t>(static_cast<std::uint32_t>(whole - zero)));
  }
}

// For outputs of type Out (int8 or uint8), of which lo and hi are the bounds; relu is lo = y.zero_point. bias has an
// entry for each row of w, or none. Raises invalid_argument for scales that are not positive and finite and for zero
// points out of range, shape_mismatch for a bias of the wrong size, unsupported where a multiplier is no normal float,
// B is no finite float, or products and zero point may not fit int32 (a depth that only int8 with few weights allows).
template <class Out = std::int8_t>
requantize requantize_of(const lut_matrix& w, const activation_scale& x, const activation_scale& y,
                         std::span<const float> bias = {},
                         std::string_view where = "requantize_of") {
  static_assert(std::is_same_v<Out, std::int8_t> || std::is_same_v<Out, std::uint8_t>,
                "requantized outputs are int8 or uint8");
  constexpr std::int32_t lowest = std::numeric_limits<Out>::min();
  constexpr std::int32_t highest = std::numeric_limits<Out>::max();
  check_activation_scale(y, lowest, highest, where, " of the output");
  requantize e;
  e.zero_point = y.zero_point;
  e.lo = lowest;
  e.hi = highest;
  append_rows(e, w, x, static_cast<double>(y.scale), bias, where);
  return e;
}

// For float outputs; otherwise likewise.
inline dequantize_rows dequantize_of(const lut_matrix& w, const activation_scale& x,
                                     std::span<const float> bias = {},
                                     std::string_view where = "dequantize_of") {
  dequantize_rows e;
  append_rows(e, w, x, 1, bias, where);
  return e;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
