// lutra: digits.hpp - float activations as three int8 digits, which the integer kernels multiply exactly.
// SPDX-License-Identifier: Apache-2.0
//
//   x[k] = unit * (65536 * d2[k] + 256 * d1[k] + d0[k]) + rest,      d in [-128, 127],  |rest| <= unit / 2
// unit is the smallest power of two, but at least 2^-126, with which the largest |x[k]| of the row fits; so
// |rest| <= 2^-22.99 * (largest |x[k]|), or 2^-127. Rounding is to nearest, halves to even. Digits are stored
// with 128 added. A row with a NaN or an infinity gets the unit NaN. The same bits at every level.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <lutra/core/strict_fp.hpp>
#include <lutra/simd/floats.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

inline constexpr int row_digits = 3;
inline constexpr float largest_digits = 0x7f7f7f;  // 127 * (65536 + 256 + 1)

// The unit of a row from its largest magnitude.
inline float digit_unit(float largest) noexcept {
  if (!(largest <= std::numeric_limits<float>::max())) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  // Biased exponents throughout: that of 2^(E - 22) for largest in [2^E, 2^(E + 1)).
  const auto exponent = static_cast<int>(std::bit_cast<std::uint32_t>(largest) >> 23) - 22;
  const auto unit = [](int e) { return std::bit_cast<float>(static_cast<std::uint32_t>(e) << 23); };
  if (exponent < 1) return unit(1);
  const bool fits = largest * unit(254 - exponent) <= largest_digits;
  return unit(fits ? exponent : exponent + 1);
}

// The largest magnitude, infinity if there is a NaN.
template <class Level> float abs_max_or_infinity(const float* x, index_t n) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  V best[4] = {V(0.0F), V(0.0F), V(0.0F), V(0.0F)};
  index_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    for (index_t k = 0; k < 4; ++k) {
      const V v = simd::nan_to(simd::load<V>(x + i + k * lanes), V(infinity));
      best[k] = simd::max(best[k], simd::magnitude(v));
    }
  }
  float lane[to_size(lanes)];
  simd::store(lane, simd::max(simd::max(best[0], best[1]), simd::max(best[2], best[3])));
  float largest = 0;
  for (const float v : lane) largest = std::max(largest, v);
  for (; i < n; ++i) largest = std::max(largest, simd::magnitude(simd::nan_to(x[i], infinity)));
  return largest;
}

// Digits d0, d1, d2 of the row to out, out + stride and out + 2 * stride; returns the unit.
template <class Level>
float split_row(const float* x, index_t n, std::uint8_t* out, index_t stride) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  constexpr index_t step = 4 * lanes;
  const float unit = digit_unit(abs_max_or_infinity<Level>(x, n));
  if (unit != unit) {
    for (int d = 0; d < row_digits; ++d) std::fill_n(out + d * stride, n, std::uint8_t{128});
    return unit;
  }
  const V factor(1.0F / unit);  // exact
  const V shift = simd::words<V>(0x808080);
  const auto split = [&](const float* from, std::uint8_t* to, index_t apart) {
    V v[4] = {V(0.0F), V(0.0F), V(0.0F), V(0.0F)};
    for (index_t k = 0; k < 4; ++k) {
      const V scaled = simd::load<V>(from + k * lanes) * factor;
      v[k] = simd::add_words(simd::round_words(scaled), shift);
    }
    simd::store_low_bytes(to, v[0], v[1], v[2], v[3]);
    for (index_t d = 1; d < row_digits; ++d) {
      for (V& w : v) w = simd::shift_words<8>(w);
      simd::store_low_bytes(to + d * apart, v[0], v[1], v[2], v[3]);
    }
  };
  index_t i = 0;
  for (; i + step <= n; i += step) split(x + i, out + i, stride);
  if (i == n) return unit;
  float rest[to_size(step)] = {};
  std::uint8_t digits[to_size(row_digits * step)];
  std::copy_n(x + i, n - i, rest);
  split(rest, digits, step);
  for (index_t d = 0; d < row_digits; ++d) {
    std::copy_n(digits + d * step, n - i, out + d * stride + i);
  }
  return unit;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
