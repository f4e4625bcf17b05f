// lutra: constant.hpp - affine_constant: a weight stored as codes, scales and zero points.
// SPDX-License-Identifier: Apache-2.0
//
// codes       ceil(size * bits / 8) bytes: the row-major codes as one little-endian bit stream, first code in
//             the lowest bits of byte 0, unused top bits of the last byte 0 (pack/bit_pack.hpp); signed integers
//             in two's complement
// parameters  scales, and of the offsets those that their formulation reads: zero points or minvals, not both
// value       dequantize(code), affine/quantize.hpp
// Made and read by pack/affine_constant.hpp. Light: includes neither Eigen nor xsimd.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/affine/qparams.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Bytes of scales and offsets as stored: 4 for a scale or minval, 1 for a zero point, none for zero points all 0.
inline index_t parameter_bytes(const qparams& q) noexcept {
  const auto count = [](const auto& xs) { return static_cast<index_t>(xs.size()); };
  if (q.qformulation == qformulation::minval) return 4 * (count(q.scale) + count(q.minval));
  const bool centred =
      std::all_of(q.zero_point.begin(), q.zero_point.end(), [](std::int32_t z) { return z == 0; });
  return 4 * count(q.scale) + (centred ? 0 : count(q.zero_point));
}

struct affine_constant {
  shape extents{0};
  qparams parameters;
  std::vector<std::uint8_t> codes;

  int n_bits() const noexcept { return bits_of(parameters.dtype); }
  // Bytes of codes, scales and offsets as stored.
  index_t bytes() const noexcept {
    return static_cast<index_t>(codes.size()) + parameter_bytes(parameters);
  }
  friend bool operator==(const affine_constant&, const affine_constant&) = default;
};

}  // namespace lutra::inline LUTRA_ABI
