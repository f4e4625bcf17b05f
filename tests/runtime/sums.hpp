// Exact integer products, as runtime/reference.hpp defines them.
#pragma once

#include <lutra/runtime/reference.hpp>
#include <lutra/tensor/tensor.hpp>

namespace test {

// x [m, k] times a palette's matrix [n, k]: [m, n].
template <class X>
lutra::tensor<std::int32_t> sums(const lutra::packed_palette& p, const lutra::tensor<X>& x) {
  lutra::tensor<std::int32_t> out(lutra::shape{x.extent(0), p.weight_shape[0]});
  lutra::reference::gemm<X>(view(lutra::reference::integer_weights(p)), view(x), view(out));
  return out;
}

}  // namespace test
