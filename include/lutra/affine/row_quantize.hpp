// lutra: row_quantize.hpp - dynamic quantization of activations: every row gets its own scale.
// SPDX-License-Identifier: Apache-2.0
//
//   scale = max(largest |x| of the row / 127, 2^-23),  q = round(x / scale) in [-127, 127],  sum = sum of q
// which is what symmetric_with_clipping int8 derives from the row's range, bit for bit. A row is read once
// from memory: the second pass, which quantizes and sums, finds it in the cache.
// NaN becomes 0, infinities saturate, and neither counts for the scale. Rows up to 2^24 elements
// (the sum then fits int32). The same bits at every level.
#pragma once

#include <lutra/affine/loops.hpp>
#include <lutra/simd/masks.hpp>
#include <lutra/simd/primitives.hpp>
#include <lutra/tensor/view.hpp>
#include <span>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

struct quantized_row {
  float scale = min_scale;
  std::int32_t sum = 0;  // of the quantized elements
};

// Largest finite magnitude, 0 if there is none.
template <class Level> float finite_abs_max(const float* x, index_t n) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const V limit(0x1.fffffep127F);
  const auto finite = [&](const V& v) {  // magnitude, 0 for NaN and infinity
    const V m = simd::magnitude(v);
    return simd::select(simd::at_least(limit, m), m, V(0.0F));
  };
  V best[4] = {V(0.0F), V(0.0F), V(0.0F), V(0.0F)};
  index_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    for (index_t k = 0; k < 4; ++k) {
      best[k] = simd::max(best[k], finite(simd::load<V>(x + i + k * lanes)));
    }
  }
  for (; i + lanes <= n; i += lanes) best[0] = simd::max(best[0], finite(simd::load<V>(x + i)));
  float lane[to_size(lanes)];
  simd::store(lane, simd::max(simd::max(best[0], best[1]), simd::max(best[2], best[3])));
  float largest = 0;
  for (const float v : lane) largest = v > largest ? v : largest;
  for (; i < n; ++i) {
    const float m = simd::magnitude(x[i]);
    if (m > largest && m <= 0x1.fffffep127F) largest = m;
  }
  return largest;
}

// Sum of at most 2^24 int8 values.
template <class Level> std::int32_t sum_of(const std::int8_t* q, index_t n) noexcept {
  constexpr Level level{};
  constexpr index_t width = simd::vector_size<Level>;
  constexpr index_t vectors = index_t{1} << 14;  // few enough for biased sums in 32 bits
  std::int32_t sum = 0;
  index_t i = 0;
  while (i + width <= n) {
    const index_t count = std::min(vectors, (n - i) / width);
    auto lanes = simd::splat_ints(0, level);
    for (index_t k = 0; k < count; ++k, i += width) {
      lanes = simd::add_bytes(lanes, simd::load_bytes(q + i, level), level);
    }
    sum += simd::total(lanes, count, level);
  }
  for (; i < n; ++i) sum += q[i];
  return sum;
}

// n in [0, 2^24]; out has n elements.
template <class Level = simd::native>
quantized_row quantize_row(const float* x, index_t n, std::int8_t* out) noexcept {
  unit_params u{dtype::int8, true, 1, 0, 0, -127, 127};
  u.scale = std::max(finite_abs_max<Level>(x, n) / 127.0F, min_scale);
  if (is_regular(u.scale)) {
    using V = simd::floats<Level>;
    quantize_loop<Level, unit_form::zp, method_of<Level>(quotient::exact)>(
        x, reinterpret_cast<std::uint8_t*>(out), n, uniform_constants<V>(constants_of(u)));
  } else {
    for (index_t i = 0; i < n; ++i) out[i] = static_cast<std::int8_t>(encode_one(x[i], u));
  }
  return {u.scale, sum_of<Level>(out, n)};
}

// Every row (all but the last axis) of x. Raises shape_mismatch unless out has x's shape and `rows` one entry
// per row, and unsupported for rows above 2^24 elements.
template <class Level = simd::native>
void quantize_rows(tensor_view<const float> x, tensor_view<std::int8_t> out,
                   std::span<quantized_row> rows) {
  const char* where = "quantize_rows";
  if (x.rank() == 0)
    raise(errc::shape_mismatch, "a scalar has no rows", where, "rank 0", "rank >= 1");
  if (x.extents() != out.extents()) {
    raise(errc::shape_mismatch, "input and output shapes differ", where, text_of(out.extents()),
          text_of(x.extents()));
  }
  const index_t length = x.extent(x.rank() - 1);
  const index_t count = x.extents().product(0, x.rank() - 1);
  if (static_cast<index_t>(rows.size()) != count) {
    raise(errc::shape_mismatch, "one entry per row is needed", where, text_of(rows.size()),
          text_of(count));
  }
  if (length > index_t{1} << 24) {
    raise(errc::unsupported, "row is too long", where, text_of(length), "up to 2^24");
  }
  std::vector<float> gathered;
  if (!x.is_contiguous()) gathered = to_vector<float>(x);
  const float* from = gathered.empty() ? x.data() : gathered.data();
  std::vector<std::int8_t> result(out.is_contiguous() ? 0 : to_size(out.size()));
  std::int8_t* to = result.empty() ? out.data() : result.data();
  for (index_t r = 0; r < count; ++r) {
    rows[to_size(r)] = quantize_row<Level>(from + r * length, length, to + r * length);
  }
  if (result.empty()) return;
  const std::int8_t* next = result.data();
  for_each_element(out, [&](std::int8_t& e) { e = *next++; });
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
