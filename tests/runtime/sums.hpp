// Exact integer products, as runtime/reference.hpp defines them, and gemm compared with them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>
#include <lutra/tensor/tensor.hpp>
#include <string>
#include <vector>

#include "runtime/palettes.hpp"

namespace test {

// x [m, k] times a palette's matrix [n, k]: [m, n].
template <class X>
lutra::tensor<std::int32_t> sums(const lutra::packed_palette& p, const lutra::tensor<X>& x) {
  lutra::tensor<std::int32_t> out(lutra::shape{x.extent(0), p.weight_shape[0]});
  lutra::reference::gemm<X>(view(lutra::reference::integer_weights(p)), view(x), view(out));
  return out;
}

// gemm at every level for which for_each_level(f) calls f(level), from memory that ends at a guard page into fenced,
// misaligned memory: the sums themselves, and halves of them through an epilogue.
template <class X, class Levels>
bool products_agree(const packed_palette& p, const tensor<X>& x, const Levels& for_each_level,
                    const lut_matrix_options& o = {.three_bits_from = 0}) {
  const index_t m = x.extent(0), rows = p.weight_shape[0];
  const auto expected = sums(p, x);
  guarded<X> input(x.size());
  std::ranges::copy(x.elements(), input.data());
  const tensor_view<const X> in(input.data(), x.extents());
  const dequantize_rows halves{std::vector<float>(static_cast<std::size_t>(rows), 0.5F), {}};
  bool good = true;
  for_each_level([&](auto level) {
    const lut_matrix w = make_lut_matrix(p, level, o);
    fenced<std::int32_t> out(m * rows, 1 + (rows + m) % 3);
    gemm(w, in, tensor_view<std::int32_t>(out.data(), shape{m, rows}), level);
    fenced<float> scaled(m * rows, 1 + m % 3);
    gemm(w, in, halves, tensor_view<float>(scaled.data(), shape{m, rows}), level);
    bool same = out.intact() && scaled.intact();
    for (index_t i = 0; i < m * rows; ++i) {
      same = same && out.data()[i] == expected[i] &&
             scaled.data()[i] == static_cast<float>(expected[i]) * 0.5F;
    }
    if (same) return;
    good = false;
    MESSAGE("level " << std::string(decltype(level)::name) << ", " << p.n_bits << " bits, "
                     << text_of(p.weight_shape) << ", m " << m);
  });
  return good;
}

}  // namespace test
