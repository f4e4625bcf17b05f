// lutra: float_output.hpp - the end of a product with float outputs: bias and bounds.
// SPDX-License-Identifier: Apache-2.0
//
//   y = min(max(sum * scale + bias[r], lo), hi)        each operation rounded on its own; NaN stays NaN
#pragma once

#include <limits>
#include <lutra/core/error.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/simd/floats.hpp>
#include <lutra/tensor/overlap.hpp>
#include <string>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct float_output {
  std::vector<float> bias;                             // [rows], or empty for none
  float lo = -std::numeric_limits<float>::infinity();  // relu is lo = 0
  float hi = std::numeric_limits<float>::infinity();
};

// Raises shape_mismatch or invalid_argument, also where out lies in the memory of the bias.
template <class Out>
void check_float_output(const float_output& o, index_t rows, const tensor_view<Out>& out,
                        std::string_view where) {
  if (!o.bias.empty() && static_cast<index_t>(o.bias.size()) != rows) {
    raise(errc::shape_mismatch, "bias needs one entry per output row", std::string(where),
          text_of(static_cast<index_t>(o.bias.size())), text_of(rows));
  }
  if (!(o.lo <= o.hi)) {
    raise(errc::invalid_argument, "lo is not below hi", std::string(where), text_of(o.lo),
          "<= " + text_of(o.hi));
  }
  check_apart(o.bias, out, "bias", where);
}

// Raises unless x is [m, depth] and out [m, rows], and as check_memory() does.
template <class X, class Out>
void check_product(const tensor_view<const X>& x, const tensor_view<Out>& out, index_t rows,
                   index_t depth, std::string_view where) {
  const std::string at(where);
  if (x.rank() != 2 || x.extent(1) != depth) {
    raise(errc::shape_mismatch, "x does not match the matrix", at, text_of(x.extents()),
          "[m, " + text_of(depth) + "]");
  }
  if (out.rank() != 2 || out.extent(0) != x.extent(0) || out.extent(1) != rows) {
    raise(errc::shape_mismatch, "out does not match x and the matrix", at, text_of(out.extents()),
          text_of(shape{x.extent(0), rows}));
  }
  check_memory(x, out, where);
}

// Raises unless x is [depth] and out [rows] of the matrix.
template <class W, class X, class Out>
void check_vectors(const W& w, const tensor_view<X>& x, const tensor_view<Out>& out,
                   std::string_view where) {
  const auto check = [&](const auto& v, index_t length, const char* name) {
    if (v.rank() == 1 && v.extent(0) == length) return;
    raise(errc::shape_mismatch, std::string(name) + " does not match the matrix",
          std::string(where), text_of(v.extents()), text_of(shape{length}));
  };
  check(x, w.depth(), "x");
  check(out, w.rows(), "out");
}

// The rows of the weight that consecutive outputs belong to: `first` and those after it, or all to `first`.
struct output_rows {
  index_t first = 0;
  bool one = false;
};

// n outputs to out, out + stride, ...
template <class Level>
void write_outputs(const float_output& o, output_rows rows, const float* sums, float scale,
                   index_t n, float* out, index_t stride) {
  const float* bias = o.bias.empty() ? nullptr : o.bias.data() + rows.first;
  const auto value = [&](auto sum, index_t i) {
    using V = decltype(sum);
    V y = sum * V(scale);
    if (bias != nullptr) y = y + (rows.one ? V(*bias) : simd::load<V>(bias + i));
    return simd::min(V(o.hi), simd::max(V(o.lo), y));
  };
  using V = simd::floats<Level>;
  const index_t whole = stride == 1 ? n - n % simd::lanes<V> : 0;
  for (index_t i = 0; i < whole; i += simd::lanes<V>) {
    simd::store(out + i, value(simd::load<V>(sums + i), i));
  }
  for (index_t i = whole; i < n; ++i) out[i * stride] = value(sums[i], i);
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
