// lutra: affine_constant.hpp - a float weight to an affine_constant and back, and the checks a stored one must pass.
// SPDX-License-Identifier: Apache-2.0
//
// restore(quantize_constant(w, q)) is fake_quantize(w, q) bit for bit, on every instruction set. Weights of any float
// or integer dtype of affine/quantize.hpp. Linear. Pure functions; thread-safe.
#pragma once

#include <lutra/affine/constant.hpp>
#include <lutra/affine/quantize.hpp>
#include <lutra/pack/bit_pack.hpp>
#include <lutra/tensor/tensor.hpp>
#include <string>
#include <utility>

namespace lutra::inline LUTRA_ABI {

// Whether codes are int8 values (else bytes as they are).
inline bool has_signed_codes(const qparams& q) noexcept {
  return is_integer(q.dtype) && info(q.dtype).is_signed;
}

// Raises what quantize() does, shape_mismatch among it.
inline affine_constant quantize_constant(const tensor_view<const float>& x, qparams q) {
  affine_constant made;
  made.extents = x.extents();
  const int bits = bits_of(q.dtype);
  std::vector<std::uint8_t> codes(to_size(x.size()));
  if (has_signed_codes(q)) {
    quantize(x, q,
             tensor_view<std::int8_t>(reinterpret_cast<std::int8_t*>(codes.data()), x.extents()));
    const auto mask = static_cast<std::uint8_t>((1 << bits) - 1);
    for (std::uint8_t& c : codes) c &= mask;
  } else {
    quantize(x, q, tensor_view<std::uint8_t>(codes.data(), x.extents()));
  }
  made.codes.resize(to_size(packed_bytes(x.size(), bits)));
  pack_bits(codes, bits, made.codes);
  (q.qformulation == qformulation::minval ? void(q.zero_point.clear()) : q.minval.clear());
  made.parameters = std::move(q);
  return made;
}

// Raises corrupt_data for a stream of the wrong size or with bits behind its end, and what the checks of parameters
// raise. After it, restore() reads nothing out of bounds.
inline void check(const affine_constant& c, std::string_view where) {
  units_of(c.parameters, c.extents, where);
  const auto corrupt = [&](const char* what, std::string value, std::string allowed) {
    raise(errc::corrupt_data, what, std::string(where), std::move(value), std::move(allowed));
  };
  const index_t wanted = packed_bytes(c.extents.size(), c.n_bits());
  if (static_cast<index_t>(c.codes.size()) != wanted) {
    corrupt("wrong size of the code stream", text_of(static_cast<index_t>(c.codes.size())),
            text_of(wanted));
  }
  if (!padding_is_zero(c.codes, c.extents.size(), c.n_bits())) {
    corrupt("unused bits of the code stream are set", text_of(int{c.codes.back()}), "zero bits");
  }
  const bool minval = c.parameters.qformulation == qformulation::minval;
  if (!(minval ? c.parameters.zero_point.empty() : c.parameters.minval.empty())) {
    corrupt("offsets that the formulation does not read", minval ? "zero points" : "minvals",
            "none");
  }
}

// The codes, one per byte, signed ones extended to int8. `c` has passed check().
inline std::vector<std::uint8_t> unpack_codes(const affine_constant& c) {
  std::vector<std::uint8_t> codes(to_size(c.extents.size()));
  const int bits = c.n_bits();
  unpack_bits(c.codes, bits, codes);
  if (!has_signed_codes(c.parameters)) return codes;
  const int sign = 1 << (bits - 1);
  for (std::uint8_t& x : codes) x = static_cast<std::uint8_t>((int{x} ^ sign) - sign);
  return codes;
}

// The dense weight. Raises what check() does.
inline tensor<float> restore(const affine_constant& c) {
  check(c, "restore");
  const std::vector<std::uint8_t> codes = unpack_codes(c);
  tensor<float> out(c.extents);
  if (has_signed_codes(c.parameters)) {
    const auto* from = reinterpret_cast<const std::int8_t*>(codes.data());
    dequantize(tensor_view<const std::int8_t>(from, c.extents), c.parameters, view(out));
  } else {
    dequantize(tensor_view<const std::uint8_t>(codes.data(), c.extents), c.parameters, view(out));
  }
  return out;
}

}  // namespace lutra::inline LUTRA_ABI
