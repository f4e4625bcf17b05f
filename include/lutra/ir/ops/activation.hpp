// lutra: activation.hpp - activations of the float interpreter beyond relu: sigmoid, tanh, silu, gelu, ...
// SPDX-License-Identifier: Apache-2.0
//
//   sigmoid 1 / (1 + e^-x)       silu x * sigmoid(x)       tanh
//   gelu    x * Phi(x), or with the literal "approximate" != 0 its form with tanh
//   elu     x < 0 ? alpha (e^x - 1) : x            ("alpha", default 1)
//   leaky_relu x < 0 ? negative_slope x : x        ("negative_slope", default 0.01)
//   hardtanh clamp(x, min_val, max_val)            (defaults -1, 1)
//   hardsigmoid clamp(x / 6 + 1/2, 0, 1)           hardswish x * clamp(x + 3, 0, 6) / 6
// The transcendental ones work in f64 with sums, products, quotients and square roots only and are rounded to
// f32 once: no maths library decides a bit, so they are the same everywhere. Against the exact value they are
// within one unit in the last place of f32 (the result is the nearest float but for near-ties). The rest is
// f32, every operation rounded. NaN passes through all. Thread-safe.
#pragma once

#include <lutra/ir/ops/elementwise.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

// e^x - 1 for x <= 0; the series where the difference would cancel.
inline double expm1_of_negative(double x) {
  if (x > -0x1p-6) {
    double sum = 1.0;
    for (int i = 8; i >= 2; --i) sum = sum * x / static_cast<double>(i) + 1.0;
    return sum * x;
  }
  return exp_of_negative(x) - 1.0;
}
inline double sigmoid_of(double x) {
  const double e = exp_of_negative(x > 0 ? -x : x);  // NaN stays NaN
  return (x > 0 ? 1.0 : e) / (1.0 + e);
}
inline double tanh_of(double x) {
  const double m = expm1_of_negative(x > 0 ? -2 * x : 2 * x);
  const double y = m / (m + 2.0);  // -tanh |x|
  return x > 0 ? -y : y;
}
// The normal distribution function: a sum of positive terms near zero, a continued fraction outside.
inline double normal_distribution(double x) {
  const double t = x < 0 ? -x : x;
  constexpr double inverse_root_2pi = 0x1.9884533d43651p-2;
  const double density = inverse_root_2pi * exp_of_negative(-0.5 * t * t);
  if (t < 3.0) {
    double term = t;
    double sum = t;
    for (int i = 3; i <= 81; i += 2) {
      term = term * t * t / static_cast<double>(i);
      sum += term;
    }
    return x < 0 ? 0.5 - density * sum : 0.5 + density * sum;
  }
  double fraction = t;
  for (int i = 40; i >= 1; --i) fraction = t + static_cast<double>(i) / fraction;
  const double tail = density / fraction;
  return x < 0 ? tail : 1.0 - tail;
}

// f64 inside, one rounding.
template <class F> tensor<float> map_doubles(const call& c, F&& f) {
  return map_elements(c, [&](float x) { return static_cast<float>(f(static_cast<double>(x))); });
}
inline tensor<float> sigmoid(const call& c) { return map_doubles(c, sigmoid_of); }
inline tensor<float> tanh(const call& c) { return map_doubles(c, tanh_of); }
inline tensor<float> silu(const call& c) {
  return map_doubles(c, [](double x) {
    const double s = sigmoid_of(x);
    return s == 0 ? 0.0 : x * s;  // -infinity gives 0
  });
}
inline tensor<float> gelu(const call& c) {
  if (number(c.at, "approximate", 0) != 0) {
    constexpr double root = 0x1.9884533d43651p-1;  // sqrt(2 / pi)
    return map_doubles(c, [](double x) {
      const double p = sigmoid_of(2.0 * root * (x + 0.044715 * x * x * x));  // (1 + tanh) / 2
      return p == 0 ? 0.0 : x * p;
    });
  }
  return map_doubles(c, [](double x) {
    const double p = normal_distribution(x);
    return p == 0 ? 0.0 : x * p;
  });
}
inline tensor<float> elu(const call& c) {
  const double alpha = number(c.at, "alpha", 1.0);
  return map_doubles(c, [=](double x) { return x < 0 ? alpha * expm1_of_negative(x) : x; });
}

inline tensor<float> leaky_relu(const call& c) {
  const auto slope = static_cast<float>(number(c.at, "negative_slope", 0.01));
  return map_elements(c, [=](float x) { return x < 0.0F ? slope * x : x; });
}
inline float clamp_to(float x, float low, float high) {
  const float above = x < low ? low : x;
  return above > high ? high : above;
}
inline tensor<float> hardtanh(const call& c) {
  const auto low = static_cast<float>(number(c.at, "min_val", -1.0));
  const auto high = static_cast<float>(number(c.at, "max_val", 1.0));
  if (!(low <= high)) {
    raise(errc::invalid_graph, "hardtanh with min_val above max_val", {}, text_of(low),
          "<= " + text_of(high));
  }
  return map_elements(c, [=](float x) { return clamp_to(x, low, high); });
}
inline tensor<float> hardsigmoid(const call& c) {
  return map_elements(c, [](float x) { return clamp_to(x / 6.0F + 0.5F, 0.0F, 1.0F); });
}
inline tensor<float> hardswish(const call& c) {
  return map_elements(c, [](float x) {
    const float gate = clamp_to(x + 3.0F, 0.0F, 6.0F);
    return gate == 0.0F ? 0.0F : x * gate / 6.0F;  // -infinity gives 0
  });
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
