// lutra: error_report.hpp - what quantizing a tensor cost, in numbers for a report.
// SPDX-License-Identifier: Apache-2.0
//
// Errors are differences in double between x and what quantizing it would give; NaN and infinities are left
// out and counted. Sums run over 16 interleaved accumulators in element order, logarithms are
// number/log2.hpp's: the same numbers everywhere. One pass, no full-size temporary.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <lutra/affine/quantize.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/number/log2.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

struct quantization_error {
  std::int64_t elements = 0;   // finite ones
  std::int64_t nonfinite = 0;  // the others: NaN, infinite
  double mse = 0;
  double max_error = 0;
  double signal = 0;            // mean of x^2
  double saturation_rate = 0;   // share of the finite elements beyond quant_min..quant_max
  double bits_per_element = 0;  // stored: codes, scales and offsets over all elements

  // 10 log10(signal / mse); infinite without error, 0 without signal, -infinite if the error is.
  double sqnr_db() const noexcept {
    if (signal == 0.0) return 0.0;
    if (mse == 0.0) return std::numeric_limits<double>::infinity();
    if (!is_finite(mse)) return -std::numeric_limits<double>::infinity();
    return 3.0102999566398119521 * (log2_of(signal) - log2_of(mse));  // 10 log10(2)
  }
  // Bits of an ideal uniform quantizer of a full-scale sine with this ratio (the figure data sheets give).
  double effective_bits() const noexcept { return (sqnr_db() - 1.76) / 6.02; }
};

// Bits that the codes and parameters of `p` take for n elements: scales as `scale_bits` each, minvals as scales, zero
// points as one code each, or one for all units where they are equal.
inline double stored_bits(const qparams& p, index_t n, int scale_bits = 32) noexcept {
  const auto codes = static_cast<double>(n) * bits_of(p.dtype);
  const auto units = static_cast<double>(p.scale.size());
  double offsets = 0;
  if (p.qformulation == qformulation::minval) {
    offsets = units * scale_bits;
  } else if (!p.zero_point.empty()) {
    const auto differs = [&](std::int32_t z) { return z != p.zero_point[0]; };
    offsets = (std::ranges::any_of(p.zero_point, differs) ? units : 1.0) * bits_of(p.dtype);
  }
  return codes + units * scale_bits + offsets;
}
// Of one scale as the spec has it stored; two-level scales have a float for the tensor besides.
inline int scale_bits_of(const quantization_spec& spec) noexcept {
  const dtype d = scale_dtype_of(spec);
  return bits_of(d == dtype::float32 ? spec.scale_rules.scale_type : d);
}

// Of quantizing x with p, whose scales are stored in `scale_bits` bits: scale_bits_of(spec). Raises what fake_quantize
// raises.
template <class Level = simd::native>
quantization_error error_of(tensor_view<const float> x, const qparams& p, int scale_bits = 32) {
  const char* where = "error_of";
  const block_grid units = units_of(p, x.extents(), where);
  quantization_error e;
  if (x.empty()) return e;
  std::vector<float> gathered;
  if (!x.is_contiguous()) gathered = to_vector<float>(x);
  const float* from = gathered.empty() ? x.data() : gathered.data();
  std::array<double, 16> errors{};
  std::array<double, 16> squares{};
  std::int64_t saturated = 0;
  units.for_each_run([&](index_t first, index_t n, index_t at) {
    constexpr index_t chunk = 256;
    const unit_params u = unit_of(p, at);
    const auto add = [&](index_t i, float quantized) {
      const float v = from[i];
      if (!is_finite(v)) {
        ++e.nonfinite;
        return;
      }
      ++e.elements;
      const float t = unclamped_one(v, u, quotient::exact);
      saturated += t < u.quant_min || t > u.quant_max ? 1 : 0;
      const auto wide = static_cast<double>(v);
      const double error = static_cast<double>(quantized) - wide;
      const auto lane = to_size(i) % errors.size();
      errors[lane] += error * error;
      squares[lane] += wide * wide;
      e.max_error = std::max(e.max_error, std::abs(error));
    };
    if (n < 32) {  // not worth a call: a channel on the last axis is a run of one
      for (index_t i = first; i < first + n; ++i) add(i, fake_quantize_one(from[i], u));
      return;
    }
    const qparams unit{p.dtype,
                       p.qformulation,
                       p.quant_min,
                       p.quant_max,
                       granularity::per_tensor(),
                       {u.scale},
                       is_integer(p.dtype) && p.qformulation == qformulation::zp
                           ? std::vector<std::int32_t>{p.zero_point[to_size(at)]}
                           : std::vector<std::int32_t>{},
                       p.qformulation == qformulation::minval ? std::vector<float>{u.float_offset}
                                                              : std::vector<float>{}};
    float y[chunk];
    for (index_t i = first; i < first + n; i += chunk) {
      const index_t size = std::min(chunk, first + n - i);
      fake_quantize<Level>({from + i, {size}}, unit, {y, {size}});
      for (index_t k = 0; k < size; ++k) add(i + k, y[k]);
    }
  });
  for (std::size_t l = 1; l < errors.size(); ++l) {
    errors[0] += errors[l];
    squares[0] += squares[l];
  }
  e.bits_per_element = stored_bits(p, x.size(), scale_bits) / static_cast<double>(x.size());
  if (e.elements == 0) return e;
  const auto n = static_cast<double>(e.elements);
  e.mse = errors[0] / n;
  e.signal = squares[0] / n;
  e.saturation_rate = static_cast<double>(saturated) / n;
  return e;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
