// lutra: known_range.hpp - parameters of ops whose results have a fixed range: nothing to observe.
// SPDX-License-Identifier: Apache-2.0
//
// sigmoid, hardsigmoid and softmax give [0, 1], tanh [-1, 1]. The levels are spaced by a power of two that
// covers the range without its upper end: uint8 sigmoid 1/256 with zero point 0, uint8 tanh 2/256
// with 128. Never applied by itself: whoever builds a graph asks for it per op.
#pragma once

#include <lutra/affine/qparams.hpp>
#include <lutra/observe/range/value_range.hpp>
#include <optional>
#include <string_view>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Absent for every other op.
constexpr std::optional<value_range> known_range_of(std::string_view op) noexcept {
  if (op == "sigmoid" || op == "hardsigmoid" || op == "softmax") return value_range{0, 1};
  if (op == "tanh") return value_range{-1, 1};
  return std::nullopt;
}

// Per-tensor parameters for the results of `op`; absent if its range is not known. Symmetric schemes keep
// their fixed zero point, so sigmoid uses half of their levels.
inline std::optional<qparams> known_range_qparams(std::string_view op,
                                                  const quantization_spec& spec) {
  check(spec, "known_range_qparams");
  const std::optional<value_range> range = known_range_of(op);
  if (!range) return std::nullopt;
  quantization_spec per_tensor = spec;
  per_tensor.granularity = granularity::per_tensor();
  qparams p = qparams_from_range(per_tensor, {&range->lo, 1}, {&range->hi, 1});
  if (!is_integer(spec.dtype)) return p;
  const auto levels = static_cast<float>(1 << bits_of(spec.dtype));
  const bool symmetric = is_symmetric(spec);
  const float width = symmetric ? 2.0F : range->hi - range->lo;
  p.scale[0] = width / levels;
  if (!symmetric) {
    p.zero_point[0] = static_cast<std::int32_t>(p.quant_min - range->lo / p.scale[0]);
    p.minval[0] = range->lo;
  } else {
    p.minval[0] = (p.quant_min - static_cast<float>(p.zero_point[0])) * p.scale[0];
  }
  return p;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
