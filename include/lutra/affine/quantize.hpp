// lutra: quantize.hpp - float to quantized values, back, and both in one pass (fake-quantization).
// SPDX-License-Identifier: Apache-2.0
//
// With qo = zero_point, fo = 0 (zp) or qo = quant_min, fo = minval (minval), f32 throughout:
//   quantize    q = clamp(round((x - fo) / scale) + qo, quant_min, quant_max)
//   dequantize  x' = (q - qo) * scale + fo
//   fp8, fp4    q = cast(clamp(x / scale, quant_min, quant_max)), x' = q * scale
// round is half to even and happens before qo is added; the quotient is a true division and nothing is
// fused. The same bits on every instruction set, for every length and alignment.
// NaN: quantize gives the code of zero (integers: qo; fp4: 0) or of NaN (fp8); fake_quantize gives NaN.
// Infinities saturate. Signed integers live in int8, the rest in uint8: one value per byte, fp4 in the
// low nibble. Views may be strided; in and out may be the same elements but must not overlap otherwise.
// Cost: one read and one write of the tensor; a strided view is copied once. Outputs larger than the caches are written
// around them, blocks and channels of a last axis of more than 2048 only if they begin at a multiple of a register.
#pragma once

#include <algorithm>
#include <array>
#include <lutra/affine/kernels.hpp>
#include <lutra/affine/pieces.hpp>
#include <lutra/affine/qparams.hpp>
#include <lutra/tensor/view.hpp>
#include <type_traits>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

inline void check_same_extents(const shape& in, const shape& out, std::string_view where) {
  if (in != out) {
    raise(errc::shape_mismatch, "input and output shapes differ", std::string(where), text_of(out),
          text_of(in));
  }
}

// Runs body(in pointer, out pointer) on dense row-major memory: the views' own where they are dense, else
// a copy that is scattered back.
template <class In, class Out, class F>
void on_dense(const tensor_view<const In>& in, const tensor_view<Out>& out, F&& body) {
  std::vector<In> gathered;
  const In* from = in.data();
  if (!in.is_contiguous()) {
    gathered = to_vector<In>(in);
    from = gathered.data();
  }
  if (out.is_contiguous()) {
    body(from, out.data());
    return;
  }
  std::vector<Out> result(to_size(out.size()));
  body(from, result.data());
  const Out* next = result.data();
  for_each_element(out, [&](Out& e) { e = *next++; });
}

// out = in, of equal shapes; nothing where they are the same elements.
template <class In, class Out>
void copy_elements(const tensor_view<In>& in, const tensor_view<Out>& out) {
  if (in.data() == out.data() && std::ranges::equal(in.strides(), out.strides())) return;
  on_dense(tensor_view<const Out>(in), out, [&](const Out* from, Out* to) {
    if (from != to) std::copy_n(from, in.size(), to);
  });
}

template <class Code> void check_container(const qparams& p, std::string_view where) {
  const bool wants_signed = info(p.dtype).integer && info(p.dtype).is_signed;
  if (wants_signed != std::is_signed_v<Code>) {
    raise(errc::invalid_argument, "container does not match the dtype", std::string(where),
          std::is_signed_v<Code> ? "int8" : "uint8",
          std::string(wants_signed ? "int8" : "uint8") + " for " + std::string(name_of(p.dtype)));
  }
}

// Raises shape_mismatch if the parameters do not fit a tensor of this shape.
inline block_grid units_of(const checked_qparams& checked, const shape& extents,
                           std::string_view where) {
  const qparams& p = checked.params;
  const auto entries = static_cast<index_t>(p.scale.size());
  if (p.granularity.kind() == granularity_kind::per_tensor && entries == 1) {
    return block_grid(shape{extents.size()}, shape{std::max<index_t>(extents.size(), 1)});
  }
  block_grid units = grid_of(p.granularity, extents, where, short_groups::allow);
  if (units.count() != entries) {
    raise(errc::shape_mismatch, "qparams do not fit the tensor", std::string(where),
          text_of(entries) + " scales", text_of(units.count()) + " for shape " + text_of(extents));
  }
  return units;
}
inline block_grid units_of(const qparams& p, const shape& extents, std::string_view where) {
  return units_of(check(p, where), extents, where);
}

template <class Level, class Code>
void quantize_to(const tensor_view<const float>& x, const qparams& p, const tensor_view<Code>& out,
                 quotient q) {
  const char* where = "quantize";
  check_same_extents(x.extents(), out.extents(), where);
  check_container<Code>(p, where);
  const block_grid units = units_of(p, x.extents(), where);
  using V = simd::floats<Level>;
  const bool stream = is_code_streamed(out.size());
  on_dense(x, out, [&](const float* from, Code* codes) {
    auto* to = reinterpret_cast<std::uint8_t*>(codes);
    const quantize_kernels kernels = quantize_kernels_of<Level>(p, q);
    const auto run = [&](index_t first, index_t n, index_t at) {
      const unit_params u = unit_of(p, at);
      if (is_regular(u.scale)) {
        kernels.run(from + first, to + first, n, constants_of(u), stream);
        return;
      }
      for (index_t i = first; i < first + n; ++i) {
        to[i] = static_cast<std::uint8_t>(encode_one(from[i], u, q));
      }
    };
    for_each_piece<V, 4 * simd::lanes<V>>(
        p, units, true, run,
        [&](index_t first, index_t n, index_t count, index_t at) {
          for (index_t k = 0; k < count; ++k) run(first + k * n, n, at + k);
        },
        [&](index_t first, index_t n, index_t period, const row_constants& constants) {
          kernels.rows(from + first, to + first, n, period, constants, stream);
        });
    if (stream) simd::stream_fence();
  });
}

template <class Level, class Code>
void dequantize_to(const tensor_view<const Code>& q, const qparams& p,
                   const tensor_view<float>& out) {
  const char* where = "dequantize";
  check_same_extents(q.extents(), out.extents(), where);
  check_container<Code>(p, where);
  const block_grid units = units_of(p, q.extents(), where);
  using V = simd::floats<Level>;
  const bool stream = is_code_streamed(out.size());
  on_dense(q, out, [&](const Code* from, float* to) {
    const auto kernels = dequantize_kernels_of<Level, Code>(p);
    const auto run = [&](index_t first, index_t n, index_t at) {
      kernels.run(from + first, to + first, n, constants_of(unit_of(p, at)), stream);
    };
    for_each_piece<V, simd::lanes<V>>(
        p, units, true, run,
        [&](index_t first, index_t n, index_t count, index_t at) {
          for (index_t k = 0; k < count; ++k) run(first + k * n, n, at + k);
        },
        [&](index_t first, index_t n, index_t period, const row_constants& constants) {
          kernels.rows(from + first, to + first, n, period, constants, stream);
        });
    if (stream) simd::stream_fence();
  });
}

template <class Level = simd::native>
void quantize(tensor_view<const float> x, const qparams& p, tensor_view<std::int8_t> out,
              quotient q = quotient::exact) {
  quantize_to<Level>(x, p, out, q);
}
template <class Level = simd::native>
void quantize(tensor_view<const float> x, const qparams& p, tensor_view<std::uint8_t> out,
              quotient q = quotient::exact) {
  quantize_to<Level>(x, p, out, q);
}
template <class Level = simd::native>
void dequantize(tensor_view<const std::int8_t> q, const qparams& p, tensor_view<float> out) {
  dequantize_to<Level>(q, p, out);
}
template <class Level = simd::native>
void dequantize(tensor_view<const std::uint8_t> q, const qparams& p, tensor_view<float> out) {
  dequantize_to<Level>(q, p, out);
}

// fake_quantize on dense memory; `units` fits the parameters. Streamed stores are complete when it returns.
template <class Level>
void fake_quantize_dense(const float* from, float* to, const checked_qparams& checked,
                         const block_grid& units, quotient q, bool stream) {
  using V = simd::floats<Level>;
  const qparams& p = checked.params;
  const fake_quantize_kernels kernels = fake_quantize_kernels_of<Level>(p, q);
  for_each_piece<V, simd::lanes<V>>(
      p, units, p.qformulation == qformulation::minval,
      [&](index_t first, index_t n, index_t at) {
        kernels.run(from + first, to + first, n, unit_of(p, at), stream);
      },
      [&](index_t first, index_t n, index_t count, index_t at) {
        kernels.blocks(from + first, to + first, n, count, checked, at, stream);
      },
      [&](index_t first, index_t n, index_t period, const row_constants& constants) {
        kernels.rows(from + first, to + first, n, period, constants, stream);
      });
  if (stream) simd::stream_fence();
}

// out = dequantize(quantize(x)) without the detour through bytes; NaN stays NaN.
template <class Level = simd::native>
void fake_quantize(tensor_view<const float> x, const qparams& p, tensor_view<float> out,
                   quotient q = quotient::exact) {
  const char* where = "fake_quantize";
  check_same_extents(x.extents(), out.extents(), where);
  const checked_qparams checked = check(p, where);
  const block_grid units = units_of(checked, x.extents(), where);
  on_dense(x, out, [&](const float* from, float* to) {
    fake_quantize_dense<Level>(from, to, checked, units, q, from != to && is_streamed(x.size()));
  });
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
