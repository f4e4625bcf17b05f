// lutra: activation_scale.hpp - scale and zero point of 8-bit activations.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/number/finite.hpp>
#include <lutra/runtime/grouped_matrix.hpp>
#include <string>

namespace lutra::inline LUTRA_ABI {

// x = (q - zero_point) * scale
struct activation_scale {
  float scale = 1;              // finite, > 0
  std::int32_t zero_point = 0;  // within the type of the activations
};

// Of activations of type X for a matrix w of any kind.
template <class X, palette_matrix W>
void check_activation_scale(const W& w, const activation_scale& s, std::string_view where) {
  static_assert(std::is_same_v<X, std::int8_t> || std::is_same_v<X, std::uint8_t>,
                "activations are int8 or uint8");
  constexpr std::int32_t lowest = std::is_signed_v<X> ? -128 : 0;
  const std::string at(where);
  if (!(s.scale > 0.0F) || !is_finite(s.scale)) {
    raise(errc::invalid_argument, "scale is not a positive finite number", at, text_of(s.scale),
          "> 0");
  }
  if (s.zero_point < lowest || s.zero_point > lowest + 255) {
    raise(errc::invalid_argument, "zero_point out of range", at, text_of(s.zero_point),
          range_text(lowest, lowest + 255));
  }
  for (const lut_matrix& slice : slices_of(w)) {  // x - zero_point is as large as uint8
    if (s.zero_point != 0 && slice.depth() > slice.template max_depth<std::uint8_t>()) {
      raise(errc::unsupported, "depth beyond exact int32 sums with a zero point", at,
            text_of(slice.depth()), "<= " + text_of(slice.template max_depth<std::uint8_t>()));
    }
  }
}

}  // namespace lutra::inline LUTRA_ABI
