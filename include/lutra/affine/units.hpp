// lutra: units.hpp - the constants of consecutive units, made by whole registers from their parameters.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <lutra/affine/lanes.hpp>
#include <lutra/affine/qparams.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/masks.hpp>
#include <lutra/simd/widen.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Which offsets the parameters of a unit have.
enum class unit_offsets : unsigned char { none, zero_point, minval };

constexpr unit_offsets offsets_of(unit_form form) noexcept {
  return form == unit_form::zp       ? unit_offsets::zero_point
         : form == unit_form::minval ? unit_offsets::minval
                                     : unit_offsets::none;
}

// Where the parameters of consecutive units lie; null for offsets that they do not have.
struct unit_source {
  const float* scale;
  const std::int32_t* zero_point;
  const float* minval;
  float quant_min, quant_max;
};
// From unit `first` on.
inline unit_source units_from(const qparams& p, index_t first) noexcept {
  // Offsets of another formulation may be there, in any number: no check() looks at them.
  const unit_offsets kind = offsets_of(form_of(p));
  return {p.scale.data() + first,
          kind == unit_offsets::zero_point ? p.zero_point.data() + first : nullptr,
          kind == unit_offsets::minval ? p.minval.data() + first : nullptr, p.quant_min,
          p.quant_max};
}

// The same as parameters of kind Kind. Zero points that are all alike need not be read: units without, of bounds less
// by theirs, give the same values, though not codes.
template <unit_form Form, unit_offsets Kind>
unit_source units_as(const qparams& p, index_t first) noexcept {
  unit_source u = units_from(p, first);
  if constexpr (Form == unit_form::zp && Kind == unit_offsets::none) {
    const auto zero = static_cast<float>(*u.zero_point);
    u.quant_min -= zero;
    u.quant_max -= zero;
  }
  return u;
}

// Asks for the parameters of the 512th unit after unit i. A loop that writes around the caches leaves
// the hardware no time to find these short reads between its long ones.
template <unit_offsets Kind>
[[gnu::always_inline]] inline void ask_ahead(const unit_source& u, index_t i) noexcept {
  constexpr index_t ahead = 2048;  // bytes
  simd::prefetch(u.scale + i, ahead);
  if constexpr (Kind == unit_offsets::zero_point) simd::prefetch(u.zero_point + i, ahead);
  if constexpr (Kind == unit_offsets::minval) simd::prefetch(u.minval + i, ahead);
}

// Looks the pages of the parameters of n units up, all at once.
template <unit_offsets Kind> void touch_pages_of(const unit_source& u, index_t n) noexcept {
  simd::touch_pages(u.scale, n);
  if constexpr (Kind == unit_offsets::zero_point) simd::touch_pages(u.zero_point, n);
  if constexpr (Kind == unit_offsets::minval) simd::touch_pages(u.minval, n);
}

// constants_of() for the units from i on, one per lane; reads as many parameters as V has lanes.
template <unit_offsets Kind, class V>
[[gnu::always_inline]] inline unit_constants<V> constants_from(const unit_source& u,
                                                               index_t i) noexcept {
  unit_constants<V> c;
  c.scale = simd::load<V>(u.scale + i);
  c.reciprocal = simd::divide(V(1.0F), c.scale);
  c.float_offset = V(0.0F);
  c.integer_offset = V(0.0F);
  if constexpr (Kind == unit_offsets::zero_point)
    c.integer_offset = simd::widen<V>(u.zero_point + i);
  if constexpr (Kind == unit_offsets::minval) {
    c.integer_offset = V(u.quant_min);
    c.float_offset = simd::load<V>(u.minval + i);
  }
  c.lowest = (V(u.quant_min) - c.integer_offset) * c.scale;
  c.highest = (V(u.quant_max) - c.integer_offset) * c.scale;
  return c;
}
// The same for the last n units, fewer than V has lanes; the lanes past them get harmless ones.
template <unit_offsets Kind, class V>
unit_constants<V> last_constants_from(const unit_source& u, index_t i, index_t n) noexcept {
  constexpr index_t lanes = simd::lanes<V>;
  float scale[to_size(lanes)];
  std::int32_t zero_point[to_size(lanes)] = {};
  float minval[to_size(lanes)] = {};
  std::fill_n(scale, lanes, 1.0F);
  n = std::min(n, lanes);
  std::copy_n(u.scale + i, n, scale);
  if constexpr (Kind == unit_offsets::zero_point) std::copy_n(u.zero_point + i, n, zero_point);
  if constexpr (Kind == unit_offsets::minval) std::copy_n(u.minval + i, n, minval);
  return constants_from<Kind, V>({scale, zero_point, minval, u.quant_min, u.quant_max}, 0);
}

// Whether every lane is_regular().
template <class V> [[gnu::always_inline]] inline bool all_regular(const V& scale) noexcept {
  constexpr auto every = static_cast<std::uint32_t>((std::uint64_t{1} << simd::lanes<V>)-1);
  const V least = simd::select(simd::equal(scale, simd::binade(scale)), V(0x1p-126F), V(0x1p-60F));
  return (simd::mask_to_bits(simd::at_least(scale, least)) &
          simd::mask_to_bits(simd::at_least(V(0x1p60F), scale))) == every;
}
// The same of n scales.
template <class V> bool all_regular(const float* scale, index_t n) noexcept {
  constexpr index_t lanes = simd::lanes<V>;
  bool regular = true;
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) regular &= all_regular<V>(simd::load<V>(scale + i));
  for (; i < n; ++i) regular &= is_regular(scale[i]);
  return regular;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
