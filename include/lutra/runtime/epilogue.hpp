// lutra: epilogue.hpp - what happens to an int32 sum: requantize to 8 bits, or dequantize to float.
// SPDX-License-Identifier: Apache-2.0
//
//   requantize  q = clamp(round_half_even(float(acc + bias) * multiplier) + zero_point, lo, hi)
//   dequantize  y = float(acc + bias) * multiplier
// One multiplier and bias per output row. For weights of scale s_w, activations of scale s_x and zero
// point z_x, outputs of scale s_y: multiplier = s_w * s_x / s_y (requantize) or s_w * s_x, and
// bias = round(b / (s_w * s_x)) - z_x * row_sum. relu is lo = zero_point.
// acc + bias wraps modulo 2^32. Each float operation is rounded on its own: same bits everywhere.
#pragma once

#include <cstdint>
#include <lutra/core/error.hpp>
#include <lutra/core/strict_fp.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct requantize {
  std::vector<float> multiplier;   // [rows], finite, > 0
  std::vector<std::int32_t> bias;  // [rows], or empty for none
  std::int32_t zero_point = 0;     // of the output
  std::int32_t lo = -128;          // within the output type
  std::int32_t hi = 127;
};

struct dequantize_rows {
  std::vector<float> multiplier;   // [rows], finite, > 0
  std::vector<std::int32_t> bias;  // [rows], or empty for none
};

inline void check_epilogue(const std::vector<float>& multiplier,
                           const std::vector<std::int32_t>& bias, index_t rows,
                           std::string_view where) {
  const std::string at(where);
  const auto count = [&](const char* what, std::size_t got) {
    if (static_cast<index_t>(got) == rows) return;
    raise(errc::shape_mismatch, std::string(what) + " needs one entry per output row", at,
          text_of(static_cast<index_t>(got)), text_of(rows));
  };
  count("multiplier", multiplier.size());
  if (!bias.empty()) count("bias", bias.size());
  for (const float m : multiplier) {
    if (!(m > 0.0F) || m - m != 0.0F) {
      raise(errc::invalid_argument, "multiplier is not a positive finite number", at, text_of(m),
            "> 0");
    }
  }
}

// `Out` is the output's element type, int8 or uint8.
template <class Out> void check(const requantize& e, index_t rows, std::string_view where) {
  check_epilogue(e.multiplier, e.bias, rows, where);
  constexpr std::int32_t lowest = std::is_signed_v<Out> ? -128 : 0;
  constexpr std::int32_t highest = std::is_signed_v<Out> ? 127 : 255;
  const auto field = [&](const char* name, std::int32_t x, std::int32_t from, std::int32_t to) {
    if (x >= from && x <= to) return;
    raise(errc::invalid_argument, std::string(name) + " out of range", std::string(where),
          text_of(x), range_text(from, to));
  };
  field("zero_point", e.zero_point, lowest, highest);
  field("lo", e.lo, lowest, highest);
  field("hi", e.hi, e.lo, highest);
}

inline void check(const dequantize_rows& e, index_t rows, std::string_view where) {
  check_epilogue(e.multiplier, e.bias, rows, where);
}

constexpr std::int32_t bias_of(const std::vector<std::int32_t>& bias, std::size_t row) noexcept {
  return bias.empty() ? 0 : bias[row];
}

LUTRA_STRICT_FP_BEGIN

// One output; `row` selects the multiplier and bias.
inline float finish(const dequantize_rows& e, std::size_t row, std::int32_t acc) noexcept {
  const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc) +
                                             static_cast<std::uint32_t>(bias_of(e.bias, row)));
  return static_cast<float>(sum) * e.multiplier[row];
}

inline std::int32_t finish(const requantize& e, std::size_t row, std::int32_t acc) noexcept {
  const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc) +
                                             static_cast<std::uint32_t>(bias_of(e.bias, row)));
  float y = static_cast<float>(sum) * e.multiplier[row];
  // The bounds are integers, so clamping before rounding gives the same result; afterwards |y| is
  // small enough for the addition of 1.5 * 2^23 to round it to an integer, halves to even.
  const auto lo = static_cast<float>(e.lo - e.zero_point);
  const auto hi = static_cast<float>(e.hi - e.zero_point);
  y = y < lo ? lo : y;
  y = y > hi ? hi : y;
  y = (y + 0x1.8p23F) - 0x1.8p23F;
  return static_cast<std::int32_t>(y) + e.zero_point;
}

LUTRA_STRICT_FP_END

}  // namespace lutra::inline LUTRA_ABI
