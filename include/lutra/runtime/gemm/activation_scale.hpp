// lutra: activation_scale.hpp - scale and zero point of 8-bit activations.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <lutra/number/finite.hpp>
#include <lutra/runtime/grouped_matrix.hpp>
#include <string>

namespace lutra::inline LUTRA_ABI {

// x = (q - zero_point) * scale
struct activation_scale {
  float scale = 1;              // finite, > 0
  std::int32_t zero_point = 0;  // within the type of the activations
};

// With codes lowest..highest; `of` says whose they are.
inline void check_activation_scale(const activation_scale& s, std::int32_t lowest,
                                   std::int32_t highest, std::string_view where,
                                   const std::string& of = {}) {
  if (!(s.scale > 0.0F) || !is_finite(s.scale)) {
    raise(errc::invalid_argument, "scale" + of + " is not a positive finite number",
          std::string(where), text_of(s.scale), "> 0");
  }
  if (s.zero_point < lowest || s.zero_point > highest) {
    raise(errc::invalid_argument, "zero_point" + of + " out of range", std::string(where),
          text_of(s.zero_point), range_text(lowest, highest));
  }
}
// Of activations of type X for a matrix w of any kind.
template <class X, palette_matrix W>
void check_activation_scale(const W& w, const activation_scale& s, std::string_view where) {
  static_assert(std::is_same_v<X, std::int8_t> || std::is_same_v<X, std::uint8_t>,
                "activations are int8 or uint8");
  check_activation_scale(s, std::numeric_limits<X>::min(), std::numeric_limits<X>::max(), where);
  for (const lut_matrix& slice : slices_of(w)) {  // x - zero_point is as large as uint8
    if (s.zero_point != 0 && slice.depth() > slice.template max_depth<std::uint8_t>()) {
      raise(errc::unsupported, "depth beyond exact int32 sums with a zero point",
            std::string(where), text_of(slice.depth()),
            "<= " + text_of(slice.template max_depth<std::uint8_t>()));
    }
  }
}

}  // namespace lutra::inline LUTRA_ABI
