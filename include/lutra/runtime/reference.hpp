// lutra: reference.hpp - what the integer kernels compute, as plain loops. The specification.
// SPDX-License-Identifier: Apache-2.0
//
//   gemm        out[m][r] = sum_k w[r][k] * x[m][k],          w = table[code] - zero_point
//   requantize  q = clamp(round_half_even((float(acc + bias) + rest) * multiplier) + zero_point, lo, hi)
//   dequantize  y = (float(acc + bias) + rest) * multiplier
//   to float    y = clamp((sum over input groups g of float(acc_g) * scale_g) * x_scale + bias, lo, hi)
//   pooling     as pool.hpp says, window by window
// Sums are exact: they are taken in int64 and fit int32 for every legal depth (lut_matrix.hpp states
// the limit). acc + bias wraps modulo 2^32; float(), + and * round to nearest even, separately.
// Everything in runtime/ returns these bits on every instruction set. Slow; used by tests, by checks
// before a timing, and to be read.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <lutra/core/strict_fp.hpp>
#include <lutra/palette/packed.hpp>
#include <lutra/runtime/window.hpp>
#include <lutra/tensor/tensor.hpp>

namespace lutra::inline LUTRA_ABI::reference {

// Code number `i` of a bit stream: bit b of the code is bit (i * bits + b) of the stream.
inline int code_at(std::span<const std::uint8_t> stream, int bits, index_t i) {
  int code = 0;
  for (int b = 0; b < bits; ++b) {
    const index_t at = i * bits + b;
    code |= (stream[to_size(at / 8)] >> (at % 8) & 1) << b;
  }
  return code;
}

// The integer weights table[code] - zero_point of an int8 or uint8 palette, in its weight's shape.
inline tensor<std::int32_t> integer_weights(const packed_palette& p) {
  tensor<std::int32_t> w(p.weight_shape);
  p.groups().for_each_run([&](index_t first, index_t length, index_t group) {
    const auto g = to_size(group);
    const std::int32_t zero_point = p.zero_point.empty() ? 0 : p.zero_point[g];
    for (index_t i = first; i < first + length; ++i) {
      const int code = code_at(p.codes, p.n_bits, i);
      const std::uint8_t byte = p.lut_codes[g * to_size(p.entries()) + to_size(code)];
      const std::int32_t entry =
          p.lut_dtype == dtype::int8 ? static_cast<std::int8_t>(byte) : std::int32_t{byte};
      w[i] = entry - zero_point;
    }
  });
  return w;
}

// w [rows, depth], x [m, depth] of int8 or uint8, out [m, rows].
template <class X>
void gemm(tensor_view<const std::int32_t> w, tensor_view<const X> x,
          tensor_view<std::int32_t> out) {
  for (index_t m = 0; m < x.extent(0); ++m) {
    for (index_t r = 0; r < w.extent(0); ++r) {
      std::int64_t sum = 0;
      for (index_t k = 0; k < w.extent(1); ++k) sum += std::int64_t{w(r, k)} * x(m, k);
      out(m, r) = static_cast<std::int32_t>(sum);
    }
  }
}

// Two's complement addition, defined for every pair of operands.
constexpr std::int32_t wrapping_add(std::int32_t a, std::int32_t b) noexcept {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}

// w [out, in/groups, kh, kw], x [n, in, h, w], out [n, out, oh, ow]; outside x the value is `pad`.
template <class X>
void conv2d(tensor_view<const std::int32_t> w, tensor_view<const X> x, const window2d& win,
            index_t groups, std::int32_t pad, tensor_view<std::int32_t> out) {
  const index_t out_per_group = groups == 0 ? 0 : w.extent(0) / groups;
  const auto pixel = [&](index_t n, index_t c, index_t i, index_t j) {
    const bool inside = i >= 0 && i < x.extent(2) && j >= 0 && j < x.extent(3);
    return inside ? std::int64_t{x(n, c, i, j)} : std::int64_t{pad};
  };
  for (index_t n = 0; n < out.extent(0); ++n) {
    for (index_t o = 0; o < out.extent(1); ++o) {
      for (index_t i = 0; i < out.extent(2); ++i) {
        for (index_t j = 0; j < out.extent(3); ++j) {
          std::int64_t sum = 0;
          for (index_t c = 0; c < w.extent(1); ++c) {
            for (index_t a = 0; a < w.extent(2); ++a) {
              for (index_t b = 0; b < w.extent(3); ++b) {
                sum +=
                    w(o, c, a, b) * pixel(n, o / out_per_group * w.extent(1) + c,
                                          i * win.stride[0] - win.padding[0] + a * win.dilation[0],
                                          j * win.stride[1] - win.padding[1] + b * win.dilation[1]);
              }
            }
          }
          out(n, o, i, j) = static_cast<std::int32_t>(sum);
        }
      }
    }
  }
}

LUTRA_STRICT_FP_BEGIN

inline float dequantize(std::int32_t acc, std::int32_t bias, float multiplier, float rest = 0) {
  return (static_cast<float>(wrapping_add(acc, bias)) + rest) * multiplier;
}

// Rounding to the nearest integer, halves to the even one; needs no rounding mode. |x| < 2^22.
inline float round_half_even(float x) {
  const float floor = std::floor(x);
  const float rest = x - floor;  // exact
  if (rest != 0.5F) return rest < 0.5F ? floor : floor + 1.0F;
  return std::fmod(floor, 2.0F) == 0.0F ? floor : floor + 1.0F;
}

inline std::int32_t requantize(std::int32_t acc, std::int32_t bias, float multiplier,
                               std::int32_t zero_point, std::int32_t lo, std::int32_t hi,
                               float rest = 0) {
  const float scaled = dequantize(acc, bias, multiplier, rest);
  // Every bound is an integer, so clamping first changes nothing and keeps the conversion defined.
  const float bounded = std::min(std::max(scaled, -65536.0F), 65536.0F);
  const auto q = static_cast<std::int32_t>(round_half_even(bounded)) + zero_point;
  return std::min(std::max(q, lo), hi);
}

// Activations as three digits, lowest first: q = d0 + 256 * d1 + 65536 * d2 is x / unit rounded to nearest, halves to
// even; unit the smallest power of two from 2^-126 on with which every |q| <= 127 * (1 + 256 + 65536). Finite x.
struct digits {
  float unit = 0x1p-126F;
  std::vector<std::int8_t> d0, d1, d2;
};
inline digits digits_of(std::span<const float> x) {
  digits out;
  double largest = 0;
  for (const float v : x) largest = std::max(largest, std::fabs(static_cast<double>(v)));
  while (largest / static_cast<double>(out.unit) > 0x7f7f7f) out.unit *= 2;
  for (const float v : x) {
    auto q = static_cast<std::int32_t>(
        std::nearbyint(static_cast<double>(v) / static_cast<double>(out.unit)));
    for (auto* d : {&out.d0, &out.d1, &out.d2}) {
      const auto digit = static_cast<std::int8_t>(q & 255);
      d->push_back(digit);
      q = (q - digit) / 256;
    }
  }
  return out;
}

// What follows the exact sums of a product with float outputs.
struct to_float {
  int digits = 1;               // columns of x per row, lowest digit first
  std::int32_t zero_point = 0;  // of x
  std::vector<float> x_scale;   // [m]
  std::vector<float> bias;      // [rows], or empty
  float lo = 0, hi = 0;
};
// p: groups along the axes 0 and 1 at most. x [m * digits, depth], out [m, rows].
template <class X>
void gemm(const packed_palette& p, tensor_view<const X> x, const to_float& o,
          tensor_view<float> out) {
  const tensor<std::int32_t> w = integer_weights(p);
  const shape& s = p.weight_shape;
  const index_t depth = s.product(1, s.rank());
  const index_t inner = s.product(2, s.rank());
  const index_t block = s.rank() > 1 ? p.block[1] * inner : 1;
  const shape grid = p.groups().grid();
  for (index_t m = 0; m < out.extent(0); ++m) {
    for (index_t r = 0; r < s[0]; ++r) {
      float y = 0;
      for (index_t begin = 0, g = 0; begin < depth; begin += block, ++g) {
        float t = 0;
        for (int d = o.digits - 1; d >= 0; --d) {
          std::int64_t sum = 0;
          for (index_t k = begin; k < std::min(begin + block, depth); ++k) {
            sum += std::int64_t{w[r * depth + k]} * (x(m * o.digits + d, k) - o.zero_point);
          }
          t = t * 256.0F + static_cast<float>(sum);
        }
        const index_t group = r / p.block[0] * (s.rank() > 1 ? grid[1] : 1) + g;
        float scale = p.scale[to_size(group)];
        if (!p.row_scale.empty()) scale *= p.row_scale[to_size(r)];
        y += t * scale;
      }
      y *= o.x_scale[to_size(m)];
      if (!o.bias.empty()) y += o.bias[to_size(r)];
      out(m, r) = std::min(std::max(y, o.lo), o.hi);
    }
  }
}

// The convolution of the same kind: x_scale of one entry, `digits` 1. w [out, in/groups, kh, kw].
template <class X>
void conv2d(const packed_palette& p, tensor_view<const X> x, const window2d& win, index_t groups,
            std::int32_t pad, const to_float& o, tensor<float>& out) {
  const tensor<std::int32_t> w = integer_weights(p);
  const shape& s = p.weight_shape;
  const index_t inner = s[2] * s[3], row = s[1] * inner, plane = out.extent(2) * out.extent(3);
  const index_t blocks = p.groups().grid()[1];
  tensor<std::int32_t> part(w.extents()), exact(out.extents());
  std::ranges::fill(out.elements(), 0.0F);
  for (index_t g = 0; g < blocks; ++g) {
    std::vector<std::int64_t> row_sum(to_size(s[0]));
    for (index_t i = 0; i < w.size(); ++i) {
      part[i] = i % row / inner / p.block[1] == g ? w[i] : 0;
      row_sum[to_size(i / row)] += part[i];
    }
    conv2d<X>(view(std::as_const(part)), x, win, groups, pad, view(exact));
    for (index_t i = 0; i < out.size(); ++i) {
      const auto r = to_size(i / plane % s[0]);
      const index_t group = static_cast<index_t>(r) / p.block[0] * blocks + g;
      float scale = p.scale[to_size(group)];
      if (!p.row_scale.empty()) scale *= p.row_scale[r];
      out[i] += static_cast<float>(exact[i] - o.zero_point * row_sum[r]) * scale;
    }
  }
  for (index_t i = 0; i < out.size(); ++i) {
    out[i] *= o.x_scale[0];
    if (!o.bias.empty()) out[i] += o.bias[to_size(i / plane % s[0])];
    out[i] = std::min(std::max(out[i], o.lo), o.hi);
  }
}

// Float tables: w [rows, depth] are their entries. Products of the positions k with the same k mod 64 add up in order
// of k; then sums 32, 16, 8, 4, 2 and 1 apart are added.
inline void gemm(tensor_view<const float> w, std::span<const float> row_scale,
                 tensor_view<const float> x, std::span<const float> bias, float lo, float hi,
                 tensor_view<float> out) {
  for (index_t m = 0; m < x.extent(0); ++m) {
    for (index_t r = 0; r < w.extent(0); ++r) {
      float sum[64] = {};
      for (index_t k = 0; k < w.extent(1); ++k) sum[k % 64] += w(r, k) * x(m, k);
      for (int apart = 32; apart > 0; apart /= 2) {
        for (int i = 0; i < apart; ++i) sum[i] += sum[i + apart];
      }
      float y = sum[0];
      if (!row_scale.empty()) y *= row_scale[to_size(r)];
      if (!bias.empty()) y += bias[to_size(r)];
      out(m, r) = std::min(std::max(y, lo), hi);
    }
  }
}

// Calls f(value) for the elements of one pooling window inside plane (n, c) of x [n, c, h, w].
template <class F>
void for_each_in_window(tensor_view<const std::int8_t> x, index_t n, index_t c,
                        std::array<index_t, 2> kernel, const window2d& w, index_t i, index_t j,
                        F&& f) {
  for (index_t a = 0; a < kernel[0]; ++a) {
    for (index_t b = 0; b < kernel[1]; ++b) {
      const index_t y = i * w.stride[0] - w.padding[0] + a * w.dilation[0];
      const index_t z = j * w.stride[1] - w.padding[1] + b * w.dilation[1];
      if (y >= 0 && y < x.extent(2) && z >= 0 && z < x.extent(3)) f(x(n, c, y, z));
    }
  }
}

// Pooling of one window: its maximum, or its mean as pool.hpp defines it.
inline std::int8_t max_pool(tensor_view<const std::int8_t> x, index_t n, index_t c,
                            std::array<index_t, 2> kernel, const window2d& w, index_t i,
                            index_t j) {
  std::int8_t largest = -128;
  for_each_in_window(x, n, c, kernel, w, i, j,
                     [&](std::int8_t v) { largest = std::max(largest, v); });
  return largest;
}
inline std::int8_t mean_pool(tensor_view<const std::int8_t> x, index_t n, index_t c,
                             std::array<index_t, 2> kernel, const window2d& w, index_t i, index_t j,
                             bool count_padding, std::int32_t zero_point, float multiplier,
                             std::int32_t out_zero_point) {
  std::int32_t sum = 0;
  index_t count = 0;
  for_each_in_window(x, n, c, kernel, w, i, j, [&](std::int8_t v) {
    sum += v - zero_point;
    ++count;
  });
  if (count_padding) count = kernel[0] * kernel[1];
  const float factor = multiplier / static_cast<float>(std::max<index_t>(count, 1));
  return static_cast<std::int8_t>(requantize(sum, 0, factor, out_zero_point, -128, 127));
}

LUTRA_STRICT_FP_END

}  // namespace lutra::inline LUTRA_ABI::reference
