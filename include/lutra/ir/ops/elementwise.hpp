// lutra: elementwise.hpp - relu, relu6, add, sub, mul, div, sqrt, batch norm, softmax of the float interpreter.
// SPDX-License-Identifier: Apache-2.0
//
//   relu(x) = x < 0 ? 0 : x   (NaN passes)
// add, sub, mul and div broadcast: shapes are compared from the last axis on, an extent of 1 (or a missing axis)
// repeats; with one operand the literal "other" is the second, as f32. Batch norm:
// y = (x - mean) * (weight / sqrt(variance + eps)) + bias, each step rounded in f32; its
// operands are x, weight, bias, mean, variance, or x, mean, variance (weight 1, bias 0). In training mean and
// variance (of all elements, not of one less) are those of the batch, in f64; nothing is stored. Softmax works in
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

// The common shape of two operands, axis by axis from the last one on.
inline shape broadcast_shape(const shape& a, const shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<index_t> extents(to_size(rank));
  for (int i = 1; i <= rank; ++i) {
    const index_t x = i <= a.rank() ? a[a.rank() - i] : 1;
    const index_t y = i <= b.rank() ? b[b.rank() - i] : 1;
    if (x != y && x != 1 && y != 1) {
      bad_shape("operands differ in shape", text_of(b), text_of(a));
    }
    extents[to_size(rank - i)] = x == 1 ? y : x;
  }
  return shape(std::span<const index_t>(extents));
}
// Steps of a dense operand of shape `from` while the indices of `to` run: 0 where it repeats.
inline std::vector<index_t> broadcast_steps(const shape& from, const shape& to) {
  std::vector<index_t> steps(to_size(to.rank()));
  index_t step = 1;
  for (int i = 1; i <= from.rank(); ++i) {
    const index_t extent = from[from.rank() - i];
    steps[to_size(to.rank() - i)] = extent == 1 ? 0 : step;
    step *= extent;
  }
  return steps;
}
template <class F> tensor<float> combine(const call& c, F&& f) {
  const auto other = c.at.literals.find("other");
  if (other != c.at.literals.end() && other->second.size() == 1) {
    const auto scalar = static_cast<float>(other->second[0]);
    return map_elements(c, [&](float x) { return f(x, scalar); });
  }
  expect_operands(c, 2, 2);
  const float_view& a = c.operand(0);
  const float_view& b = c.operand(1);
  tensor<float> out(broadcast_shape(a.extents(), b.extents()));
  if (a.size() == out.size() && b.size() == out.size()) {
    for (index_t i = 0; i < out.size(); ++i) out[i] = f(a.data()[i], b.data()[i]);
    return out;
  }
  const std::vector<index_t> a_step = broadcast_steps(a.extents(), out.extents());
  const std::vector<index_t> b_step = broadcast_steps(b.extents(), out.extents());
  std::vector<index_t> at(a_step.size(), 0);
  const float* x = a.data();
  const float* y = b.data();
  for (index_t i = 0; i < out.size(); ++i) {
    out[i] = f(*x, *y);
    for (std::size_t axis = at.size(); axis-- > 0;) {  // counts up, last axis first
      x += a_step[axis];
      y += b_step[axis];
      const index_t extent = out.extent(static_cast<int>(axis));
      if (++at[axis] < extent) break;
      at[axis] = 0;
      x -= a_step[axis] * extent;
      y -= b_step[axis] * extent;
    }
  }
  return out;
}
inline tensor<float> add(const call& c) {
  return combine(c, [](float a, float b) { return a + b; });
}
inline tensor<float> sub(const call& c) {
  return combine(c, [](float a, float b) { return a - b; });
}
inline tensor<float> mul(const call& c) {
  return combine(c, [](float a, float b) { return a * b; });
}

inline tensor<float> div(const call& c) {
  return combine(c, [](float a, float b) { return a / b; });
}
inline tensor<float> square_root(const call& c) {
  return map_elements(c, [](float x) { return std::sqrt(x); });
}

// Mean and variance of every channel of x [n, channels, inner].
struct batch_statistics {
  std::vector<float> mean, variance;
};
inline batch_statistics statistics_of(const float_view& x, index_t inner) {
  const index_t channels = x.extent(1);
  const auto count = static_cast<double>(x.extent(0) * inner);
  std::vector<double> sum(to_size(channels), 0.0), spread = sum;
  const auto visit = [&](auto&& f) {
    for (index_t i = 0; i < x.size(); ++i) {
      f(to_size(i / inner % channels), static_cast<double>(x.data()[i]));
    }
  };
  visit([&](std::size_t c, double v) { sum[c] += v; });
  for (double& s : sum) s /= count;
  visit([&](std::size_t c, double v) { spread[c] += (v - sum[c]) * (v - sum[c]); });
  batch_statistics made;
  for (std::size_t c = 0; c < sum.size(); ++c) {
    made.mean.push_back(static_cast<float>(sum[c]));
    made.variance.push_back(static_cast<float>(spread[c] / count));
  }
  return made;
}

// Operands: x [n, channels, ...], the others [channels].
inline tensor<float> batch_norm(const call& c) {
  if (c.operands.size() != 3) expect_operands(c, 5, 5);
  const bool affine = c.operands.size() == 5;
  const float_view& x = c.operand(0);
  if (x.rank() < 2) bad_shape("input has the wrong rank", text_of(x.extents()), "rank >= 2");
  const index_t channels = x.extent(1);
  for (std::size_t i = 1; i < c.operands.size(); ++i) expect_channels(c, i, channels);
  const index_t inner = x.extents().product(2, x.rank());
  const batch_statistics own = c.training ? statistics_of(x, inner) : batch_statistics();
  const float* means = c.training ? own.mean.data() : c.operand(affine ? 3 : 1).data();
  const float* variances = c.training ? own.variance.data() : c.operand(affine ? 4 : 2).data();
  const auto eps = static_cast<float>(number(c.at, "eps", 1e-5));
  tensor<float> out(x.extents());
  for (index_t block = 0; block < x.extent(0) * channels; ++block) {
    const index_t k = block % channels;
    const float scale = (affine ? c.operand(1).data()[k] : 1.0F) / std::sqrt(variances[k] + eps);
    const float shift = affine ? c.operand(2).data()[k] : 0.0F;
    const float* in = x.data() + block * inner;
    float* y = out.data() + block * inner;
    for (index_t i = 0; i < inner; ++i) y[i] = (in[i] - means[k]) * scale + shift;
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
  const int axis = axis_of(number(c.at, "dim", -1), x.rank());
  const index_t count = x.extent(axis);
  const index_t step = x.extents().product(axis + 1, x.rank());
  tensor<float> out(x.extents());
  std::vector<double> e(to_size(count));
  for (index_t block = 0; count != 0 && block < x.size() / count; ++block) {
    const index_t first = block / step * step * count + block % step;
    const float* in = x.data() + first;
    auto top = static_cast<double>(in[0]);
    for (index_t i = 1; i < count; ++i) top = std::max(top, static_cast<double>(in[i * step]));
    double sum = 0;
    for (index_t i = 0; i < count; ++i) {
      sum += e[to_size(i)] = exp_of_negative(static_cast<double>(in[i * step]) - top);
    }
    for (index_t i = 0; i < count; ++i) {
      out[first + i * step] = static_cast<float>(e[to_size(i)] / sum);
    }
  }
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
