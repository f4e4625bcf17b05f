// lutra: gradient.hpp - backward of fake-quantization: straight-through, and learnable scale and offset.
// SPDX-License-Identifier: Apache-2.0
//
// With q = (x - fo) / scale, m = round(q) and the bounds lo = quant_min - qo, hi = quant_max - qo:
//   inside (lo <= m <= hi)   dy/dx = 1   dy/dscale = m - q       dy/dminval = 0   dy/dzero_point = 0
//   below or above           dy/dx = 0   dy/dscale = lo or hi    dy/dminval = 1   dy/dzero_point = -scale
//   NaN                      all 0 (times dy: an infinite or NaN gradient there still shows in the sums)
// fp8 and fp4: m = cast(q), inside means quant_min <= q <= quant_max, and there is no offset. The quotient is
// that of quantize.hpp, so the mask is the reference's and, with `reciprocal`, torch's. Gradients of
// parameters (LSQ, LSQ+) are sums of exact products, in double, 16 interleaved sums per block of 2^14
// elements of a run (one sum for runs below 16), added in order: the same bits at every level. No full-size
// temporaries. One read of each input and one write of each output.
#pragma once

#include <cmath>
#include <lutra/affine/quantize.hpp>
#include <lutra/fake_quant/bit_mask.hpp>
#include <lutra/fake_quant/saturation.hpp>
#include <lutra/simd/doubles.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Runs below this are not worth a register.
inline constexpr index_t shortest_run = 16;

inline void check_mask(index_t n, std::size_t bytes, const char* where) {
  if (bytes != to_size(mask_bytes(n))) {
    raise(errc::shape_mismatch, "mask has the wrong length", where, text_of(bytes) + " bytes",
          text_of(mask_bytes(n)) + " for " + text_of(n) + " elements");
  }
}

// Calls whole(i, store) for chunks of 64 elements and part(i, count) for what is left at the ends: where
// streaming is wanted, `out` is aligned before the first chunk. store(p, register) is plain or streaming.
template <class V, class Whole, class Part>
void for_each_chunk(float* out, index_t n, bool stream, Whole&& whole, Part&& part) {
  constexpr index_t chunk = 64;
  constexpr auto register_bytes = static_cast<std::uintptr_t>(simd::lanes<V>) * sizeof(float);
  index_t i = 0;
  const auto past = reinterpret_cast<std::uintptr_t>(out) % register_bytes;
  if (stream && past != 0) {
    const auto head = static_cast<index_t>((register_bytes - past) / sizeof(float));
    stream = past % sizeof(float) == 0 && head < n;
    if (stream) part(index_t{0}, i = head);
  }
  if (stream) {
    for (; i + chunk <= n; i += chunk)
      whole(i, [](float* to, const V& v) { put_in_turn<true>(to, v); });
  } else {
    for (; i + chunk <= n; i += chunk)
      whole(i, [](float* to, const V& v) { put_in_turn<false>(to, v); });
  }
  if (i < n) part(i, n - i);
}

// fake_quantize of a run, appending the bits.
template <class Level, unit_form Form, quotient_method Method>
void masked_loop(const float* x, float* out, index_t n, const unit_params& u, bool stream,
                 bit_writer& writer) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const unit_constants<V> c = spread<V>(constants_of(u));
  const auto b = saturation_bounds_of<Form, V>(u);
  bit_writer bits = writer;
  // 64 elements; their bits.
  const auto chunk = [&](const float* from, float* to, auto store) __attribute__((always_inline)) {
    std::uint64_t word = 0;
    for (index_t i = 0; i < 64; i += lanes) {
      simd::read_ahead(from + i);
      const V v = simd::load<V>(from + i);
      const V level = level_of<Form>(quotient_of<Form, Method>(v, c, b));
      const V limited = limited_to(level, b);
      const V rounded = rounded_of<Form>(limited, saturated(v, c));
      word |= static_cast<std::uint64_t>(simd::mask_to_bits(simd::equal(level, limited))) << i;
      if constexpr (Form == unit_form::minval) {
        store(to + i, V(rounded * c.scale + c.float_offset));
      } else {
        store(to + i, V(rounded * c.scale));
      }
    }
    return word;
  };
  for_each_chunk<V>(
      out, n, stream, [&](index_t i, auto store) { bits.push(chunk(x + i, out + i, store), 64); },
      [&](index_t i, index_t count) {
        float buffer[64] = {};
        std::copy_n(x + i, std::min<index_t>(count, 63), buffer);
        const auto plain = [](float* to, const V& v) { simd::store(to, v); };
        bits.push(chunk(buffer, buffer, plain) & ((std::uint64_t{1} << count) - 1U), count);
        std::copy_n(buffer, std::min<index_t>(count, 63), out + i);
      });
  writer = bits;
}

// fake_quantize, and for straight_through() one bit per element: 1 where the value did not saturate.
// mask has mask_bytes(x.size()) bytes. x and out may be the same elements.
template <class Level = simd::native>
void fake_quantize_with_mask(tensor_view<const float> x, const qparams& p, tensor_view<float> out,
                             std::span<std::uint8_t> mask, quotient q = quotient::exact) {
  const char* where = "fake_quantize_with_mask";
  check_same_extents(x.extents(), out.extents(), where);
  check_mask(x.size(), mask.size(), where);
  const block_grid units = units_of(p, x.extents(), where);
  on_dense(x, out, [&](const float* from, float* to) {
    bit_writer bits(mask.data());
    const bool stream = from != to && is_streamed(x.size());
    with_form<Level>(p, q, [&](auto form, auto method) {
      units.for_each_run([&](index_t first, index_t n, index_t at) {
        const unit_params u = unit_of(p, at);
        if (is_regular(u.scale) && n >= shortest_run) {
          masked_loop<Level, form(), method()>(from + first, to + first, n, u, stream, bits);
          return;
        }
        for (index_t i = first; i < first + n; ++i) {
          const quantized_element e = quantized_one(from[i], u, q);
          to[i] = e.value;
          bits.push(e.inside ? 1U : 0U, 1);
        }
      });
    });
    bits.finish();
    if (stream) simd::stream_fence();
  });
}

// dx = dy where the mask's bit is set, else 0. dy and dx may be the same elements.
template <class Level = simd::native>
void straight_through(tensor_view<const float> dy, std::span<const std::uint8_t> mask,
                      tensor_view<float> dx) {
  const char* where = "straight_through";
  check_same_extents(dy.extents(), dx.extents(), where);
  check_mask(dy.size(), mask.size(), where);
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  constexpr std::uint32_t every_lane = (1U << lanes) - 1U;
  on_dense(dy, dx, [&](const float* from, float* to) {
    const bool stream = from != to && is_streamed(dy.size());
    for_each_chunk<V>(
        to, dy.size(), stream,
        [&](index_t i, auto store) {
          const std::uint64_t bits = word_at(mask, i);
          for (index_t k = 0; k < 64; k += lanes) {
            simd::read_ahead(from + i + k);
            const auto low = static_cast<std::uint32_t>(bits >> k) & every_lane;
            store(to + i + k, simd::keep_where(low, simd::load<V>(from + i + k)));
          }
        },
        [&](index_t i, index_t count) {
          for (index_t k = i; k < i + count; ++k) to[k] = bit_at(mask, k) ? from[k] : 0.0F;
        });
    if (stream) simd::stream_fence();
  });
}

// The same with one byte per element, 1 or 0, for those who keep masks as tensors.
inline void straight_through_mask(tensor_view<const float> x, const qparams& p,
                                  tensor_view<std::uint8_t> inside) {
  const char* where = "straight_through_mask";
  check_same_extents(x.extents(), inside.extents(), where);
  const block_grid units = units_of(p, x.extents(), where);
  on_dense(x, inside, [&](const float* from, std::uint8_t* to) {
    units.for_each_run([&](index_t first, index_t n, index_t at) {
      const unit_params u = unit_of(p, at);
      for (index_t i = first; i < first + n; ++i) {
        to[i] = quantized_one(from[i], u, quotient::exact).inside ? 1 : 0;
      }
    });
  });
}
// dx = dy where inside, else 0. dx may be dy.
inline void straight_through_gradient(tensor_view<const float> dy,
                                      tensor_view<const std::uint8_t> inside,
                                      tensor_view<float> dx) {
  const char* where = "straight_through_gradient";
  check_same_extents(dy.extents(), inside.extents(), where);
  check_same_extents(dy.extents(), dx.extents(), where);
  const std::vector<std::uint8_t> mask = to_vector<std::uint8_t>(inside);
  on_dense(dy, dx, [&](const float* from, float* to) {
    for (std::size_t i = 0; i < mask.size(); ++i) to[i] = mask[i] != 0 ? from[i] : 0.0F;
  });
}

// Of the loss, per unit. `offset`: by zero_point (zp) or minval; empty for float dtypes.
struct qparam_gradients {
  std::vector<double> scale;
  std::vector<double> offset;
};

// LSQ's factor that balances the gradient of a scale against those of n elements: 1 / sqrt(n * quant_max).
inline double lsq_gradient_scale(const qparams& p, index_t elements_per_unit) {
  const double levels = std::max(1.0, static_cast<double>(p.quant_max));
  return 1.0 / std::sqrt(static_cast<double>(std::max<index_t>(elements_per_unit, 1)) * levels);
}

// Sums over one block: of dy * dy_i/dscale, and of dy beyond the bounds.
struct gradient_sums {
  double slope = 0;
  double beyond = 0;
};

// Interleaved sums of a block: element i belongs to sum i mod 16.
struct gradient_lanes {
  static constexpr index_t count = 16;
  std::array<double, 16> slope{};
  std::array<double, 16> beyond{};

  void add(index_t i, float dy, const quantized_element& e) noexcept {
    const auto lane = to_size(i % count);
    slope[lane] += static_cast<double>(dy) * static_cast<double>(e.slope);
    beyond[lane] += e.beyond ? static_cast<double>(dy) : 0.0;
  }
  // Pairs at distance 8, then 4, 2, 1.
  gradient_sums total() noexcept {
    for (std::size_t half = 8; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) {
        slope[i] += slope[i + half];
        beyond[i] += beyond[i + half];
      }
    }
    return {slope[0], beyond[0]};
  }
};

// At most 2^14 elements of a regular unit.
template <class Level, unit_form Form, quotient_method Method, bool Stream>
gradient_sums learnable_block(const float* x, const float* dy, float* dx, index_t n,
                              const unit_params& u, quotient q) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  constexpr auto registers = to_size(gradient_lanes::count / lanes);
  const unit_constants<V> c = spread<V>(constants_of(u));
  const auto b = saturation_bounds_of<Form, V>(u);
  simd::masked_sums<V> partial[registers];
  const index_t whole = n - n % gradient_lanes::count;
  for (index_t i = 0; i < whole; i += gradient_lanes::count) {
    for (std::size_t r = 0; r < registers; ++r) {
      const index_t at = i + static_cast<index_t>(r) * lanes;
      if constexpr (Stream) simd::read_ahead(dy + at);
      if constexpr (Stream) simd::read_ahead(x + at);
      const V v = simd::load<V>(x + at);
      const V quotient = quotient_of<Form, Method>(v, c, b);
      const V level = level_of<Form>(quotient);
      const V limited = limited_to(level, b);
      // No branch, though few saturate: those that do come unforeseen.
      const auto inside = simd::equal(level, limited), beyond = simd::differ(level, limited);
      const V zero(0.0F);
      const V slope = simd::select(inside, V(rounded_of<Form>(limited, limited) - quotient),
                                   simd::select(beyond, limited, zero));
      partial[r].add(dy + at, slope, beyond);
      const V d = simd::select(inside, simd::load<V>(dy + at), zero);
      put<Stream>(dx + at, d);
    }
  }
  gradient_lanes sums;
  for (std::size_t r = 0; r < registers; ++r) {
    const auto at = static_cast<index_t>(r) * lanes;
    partial[r].store(sums.slope.data() + at, sums.beyond.data() + at);
  }
  for (index_t i = whole; i < n; ++i) {
    const quantized_element e = quantized_one(x[i], u, q);
    sums.add(i, dy[i], e);
    dx[i] = e.inside ? dy[i] : 0.0F;
  }
  return sums.total();
}

// Short runs, and units that are not regular.
inline gradient_sums learnable_run(const float* x, const float* dy, float* dx, index_t n,
                                   const unit_params& u, quotient q) noexcept {
  gradient_sums sums;
  for (index_t i = 0; i < n; ++i) {
    const quantized_element e = quantized_one(x[i], u, q);
    sums.slope += static_cast<double>(dy[i]) * static_cast<double>(e.slope);
    sums.beyond += e.beyond ? static_cast<double>(dy[i]) : 0.0;
    dx[i] = e.inside ? dy[i] : 0.0F;
  }
  return sums;
}

// dx and the gradients of the parameters, multiplied by gradient_scale. dy and dx may be the same elements.
template <class Level = simd::native>
qparam_gradients learnable_backward(tensor_view<const float> x, tensor_view<const float> dy,
                                    const qparams& p, tensor_view<float> dx,
                                    double gradient_scale = 1.0, quotient q = quotient::exact) {
  const char* where = "learnable_backward";
  check_same_extents(x.extents(), dy.extents(), where);
  check_same_extents(x.extents(), dx.extents(), where);
  const block_grid units = units_of(p, x.extents(), where);
  constexpr index_t block = index_t{1} << 14;
  qparam_gradients sums{std::vector<double>(p.scale.size()), std::vector<double>(p.scale.size())};
  std::vector<float> gathered;
  if (!x.is_contiguous()) gathered = to_vector<float>(x);
  const float* values = gathered.empty() ? x.data() : gathered.data();
  on_dense(dy, dx, [&](const float* from, float* to) {
    constexpr auto register_bytes =
        static_cast<std::uintptr_t>(simd::lanes<simd::floats<Level>>) * 4;
    const bool large = from != to && is_streamed(x.size());
    with_form<Level>(p, q, [&](auto form, auto method) {
      units.for_each_run([&](index_t first, index_t n, index_t at) {
        const unit_params u = unit_of(p, at);
        const auto unit = to_size(at);
        const bool stream =
            large && reinterpret_cast<std::uintptr_t>(to + first) % register_bytes == 0;
        const auto sums_of = is_regular(u.scale) && n >= shortest_run
                                 ? stream ? learnable_block<Level, form(), method(), true>
                                          : learnable_block<Level, form(), method(), false>
                                 : learnable_run;
        for (index_t i = first; i < first + n; i += block) {
          const index_t size = std::min(block, first + n - i);
          const gradient_sums s = sums_of(values + i, from + i, to + i, size, u, q);
          sums.scale[unit] += s.slope;
          sums.offset[unit] += s.beyond;
        }
      });
    });
    if (large) simd::stream_fence();
  });
  for (std::size_t u = 0; u < p.scale.size(); ++u) {
    sums.scale[u] *= gradient_scale;
    const double slope =
        p.qformulation == qformulation::zp ? -static_cast<double>(p.scale[u]) : 1.0;
    sums.offset[u] *= slope * gradient_scale;
  }
  if (!is_integer(p.dtype)) sums.offset.clear();
  return sums;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
