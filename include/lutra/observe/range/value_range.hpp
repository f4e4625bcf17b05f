// lutra: value_range.hpp - what a range selection is: a function of a histogram and a spec.
// SPDX-License-Identifier: Apache-2.0
//
// A selection decides which part of the observed values gets quantization levels. Write your own as a
// class with operator()(const histogram&, const quantization_spec&) that compares equal when its options do. Options
// out of range are an error for any histogram. Free ends lie within four times the largest observed magnitude ("mse"
// widens a range where its zero point then falls better: less than three times).
#pragma once

#include <concepts>
#include <lutra/affine/spec.hpp>
#include <lutra/observe/histogram.hpp>

namespace lutra::inline LUTRA_ABI {

// lo <= 0 <= hi: every scheme represents 0.
struct value_range {
  float lo = 0;
  float hi = 0;
  friend bool operator==(const value_range&, const value_range&) = default;
};

// clang-format off
template <class S>
concept range_selection = std::copyable<S> && std::equality_comparable<S> &&
    requires(const S& s, const histogram& h, const quantization_spec& spec) {
  { s(h, spec) } -> std::convertible_to<value_range>;  // {0, 0} for an empty histogram
};
// clang-format on

// The observed range with zero, and with ends fixed by the user in place of observed ones.
inline value_range full_range(const histogram& h, const quantization_spec& spec) {
  return {spec.float_range.lo.value_or(std::min(h.min(), 0.0F)),
          spec.float_range.hi.value_or(std::max(h.max(), 0.0F))};
}

// The schemes whose scale depends on the larger end alone.
inline bool is_symmetric(const quantization_spec& spec) noexcept {
  return spec.qscheme != qscheme::asymmetric;
}

// The part of `full` within [-magnitude, magnitude].
inline value_range within(const value_range& full, float magnitude) noexcept {
  return {std::max(full.lo, -magnitude), std::min(full.hi, magnitude)};
}

}  // namespace lutra::inline LUTRA_ABI
