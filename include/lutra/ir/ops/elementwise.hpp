// lutra: elementwise.hpp - relu, relu6, add, mul, batch norm, softmax of the float interpreter.
// SPDX-License-Identifier: Apache-2.0
//
//   relu(x) = x > 0 ? x : 0   (NaN gives 0... kept: x != x ? x)
// add and mul take equal shapes, or one operand of one element. Batch norm:
// y = (x - mean) * (weight / sqrt(variance + eps)) + bias, each step rounded in f32. Softmax works in
// f64 with an exponential of plus and times only, so no maths library decides a bit. Thread-safe.
#pragma once

#include <bit>
#include <cmath>
#include <lutra/core/strict_fp.hpp>
#include <lutra/ir/ops/call.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

template <class F> tensor<float> map_elements(const call& c, F&& f) {
  expect_operands(c, 1, 1);
  const float_view& x = c.operand(0);
  tensor<float> out(x.extents());
  const float* in = x.data();
  float* y = out.data();
  for (index_t i = 0; i < x.size(); ++i) y[i] = f(in[i]);
  return out;
}
// NaN passes through both.
inline tensor<float> relu(const call& c) {
  return map_elements(c, [](float x) { return x < 0.0F ? 0.0F : x; });
}
inline tensor<float> relu6(const call& c) {
  return map_elements(c, [](float x) {
    const float low = x < 0.0F ? 0.0F : x;
    return low > 6.0F ? 6.0F : low;
  });
}

template <class F> tensor<float> combine(const call& c, F&& f) {
  expect_operands(c, 2, 2);
  const float_view& a = c.operand(0);
  const float_view& b = c.operand(1);
  const bool same = a.extents() == b.extents();
  if (!same && a.size() != 1 && b.size() != 1) {
    bad_shape(c.at, "operands differ in shape", text_of(b.extents()), text_of(a.extents()));
  }
  tensor<float> out(same || b.size() == 1 ? a.extents() : b.extents());
  const index_t a_step = same || b.size() == 1 ? 1 : 0;
  const index_t b_step = same || b.size() != 1 ? 1 : 0;
  for (index_t i = 0; i < out.size(); ++i) out[i] = f(a.data()[i * a_step], b.data()[i * b_step]);
  return out;
}
inline tensor<float> add(const call& c) {
  return combine(c, [](float a, float b) { return a + b; });
}
inline tensor<float> mul(const call& c) {
  return combine(c, [](float a, float b) { return a * b; });
}

// Operands: x [n, channels, ...], weight, bias, mean, variance [channels].
inline tensor<float> batch_norm(const call& c) {
  expect_operands(c, 5, 5);
  const float_view& x = c.operand(0);
  if (x.rank() < 2) bad_shape(c.at, "input has the wrong rank", text_of(x.extents()), "rank >= 2");
  const index_t channels = x.extent(1);
  for (std::size_t i = 1; i < 5; ++i) expect_channels(c, i, channels);
  const auto eps = static_cast<float>(number(c.at, "eps", 1e-5));
  const index_t inner = x.extents().product(2, x.rank());
  tensor<float> out(x.extents());
  for (index_t block = 0; block < x.extent(0) * channels; ++block) {
    const index_t k = block % channels;
    const float scale = c.operand(1).data()[k] / std::sqrt(c.operand(4).data()[k] + eps);
    const float shift = c.operand(2).data()[k];
    const float mean = c.operand(3).data()[k];
    const float* in = x.data() + block * inner;
    float* y = out.data() + block * inner;
    for (index_t i = 0; i < inner; ++i) y[i] = (in[i] - mean) * scale + shift;
  }
  return out;
}

// e^x for x <= 0 to about 1e-15, from IEEE operations alone.
inline double exp_of_negative(double x) {
  if (!(x > -708.0)) return x != x ? x : 0.0;
  constexpr double log2e = 0x1.71547652b82fep+0;
  constexpr double ln2_high = 0x1.62e42feep-1;  // 32 bits: k * ln2_high is exact
  constexpr double ln2_low = 0x1.a39ef35793c76p-33;
  const double k = std::floor(x * log2e + 0.5);
  const double r = (x - k * ln2_high) - k * ln2_low;  // |r| <= 0.35
  double sum = 1.0;
  for (int i = 14; i >= 1; --i) sum = sum * r / static_cast<double>(i) + 1.0;
  const auto exponent = static_cast<std::uint64_t>(static_cast<std::int64_t>(k) + 1023);
  return sum * std::bit_cast<double>(exponent << 52);
}

inline tensor<float> softmax(const call& c) {
  expect_operands(c, 1, 1);
  const float_view& x = c.operand(0);
  const int axis = resolve_axis(static_cast<int>(number(c.at, "dim", -1)), x.rank(), label(c.at));
  const index_t count = x.extent(axis);
  const index_t step = x.extents().product(axis + 1, x.rank());
  tensor<float> out(x.extents());
  std::vector<double> e(static_cast<std::size_t>(count));
  for (index_t block = 0; count != 0 && block < x.size() / count; ++block) {
    const index_t first = block / step * step * count + block % step;
    const float* in = x.data() + first;
    auto top = static_cast<double>(in[0]);
    for (index_t i = 1; i < count; ++i) top = std::max(top, static_cast<double>(in[i * step]));
    double sum = 0;
    for (index_t i = 0; i < count; ++i) {
      sum += e[static_cast<std::size_t>(i)] =
          exp_of_negative(static_cast<double>(in[i * step]) - top);
    }
    for (index_t i = 0; i < count; ++i) {
      out[first + i * step] = static_cast<float>(e[static_cast<std::size_t>(i)] / sum);
    }
  }
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
