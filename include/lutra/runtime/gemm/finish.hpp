// lutra: finish.hpp - from the kernel's raw sums of one column to finished outputs.
// SPDX-License-Identifier: Apache-2.0
//
//   sum = raw + offset[row] - factor[row] * (sum of the activations)        (mod 2^32)
// factor removes the weight bias and the weight's zero point; offset adds the epilogue's bias and, for
// uint8 activations (which the kernel sees minus 128), 128 * row_sum. Then the epilogue.
#pragma once

#include <cstring>
#include <lutra/core/strict_fp.hpp>
#include <lutra/runtime/epilogue.hpp>
#include <lutra/runtime/lut_matrix.hpp>
#include <lutra/tensor/view.hpp>

namespace lutra::inline LUTRA_ABI {

template <class A, class Epilogue, class Out> class row_finisher {
 public:
  row_finisher(const lut_matrix& w, const Epilogue& e, tensor_view<Out> out, bool unsigned_x)
      : w_(w), rounding_(e), out_(out) {
    const auto padded = static_cast<std::size_t>(w.strips() * simd::int_lanes<A>);
    offset_.resize(padded);
    factor_.resize(padded);
    if constexpr (!std::is_same_v<Epilogue, keep_sums>) multiplier_.resize(padded, 1.0F);
    for (index_t row = 0; row < w.rows(); ++row) {
      const auto r = static_cast<std::size_t>(row);
      std::uint32_t offset = unsigned_x ? 128U * static_cast<std::uint32_t>(w.row_sum(row)) : 0U;
      if constexpr (!std::is_same_v<Epilogue, keep_sums>) {
        offset += static_cast<std::uint32_t>(bias_of(e.bias, row));
        multiplier_[r] = e.multiplier[r];
      }
      offset_[r] = static_cast<std::int32_t>(offset);
      factor_[r] = -(weight_bias(A{}) + w.zero_point(row));
    }
  }

  // raw: the sums of one panel for column m, whose activations add up to x_sum. Overwritten.
  void operator()(index_t panel, index_t m, std::int32_t x_sum, std::int32_t* raw) const {
    constexpr index_t lanes = simd::int_lanes<A>;
    const index_t first = panel * panel_strips * lanes;
    const index_t count = std::min(panel_strips * lanes, w_.rows() - first);
    alignas(64) Out finished[static_cast<std::size_t>(panel_strips * lanes)];
    const auto x = splat_ints(x_sum, A{});
    for (index_t at = 0; at < count; at += lanes) {
      const auto row = static_cast<std::size_t>(first + at);
      auto sum = add(load_ints(raw + at, A{}), load_ints(&offset_[row], A{}), A{});
      sum = add(sum, multiply(load_ints(&factor_[row], A{}), x, A{}), A{});
      store(finished + at, sum, row);
    }
    Out* to = out_.data() + m * out_.stride(0) + first * out_.stride(1);
    if (out_.stride(1) == 1) {
      std::memcpy(to, finished, static_cast<std::size_t>(count) * sizeof(Out));
    } else {
      for (index_t i = 0; i < count; ++i) to[i * out_.stride(1)] = finished[i];
    }
  }

 private:
  void store(Out* to, simd::ints_of<A> sum, std::size_t row) const {
    if constexpr (std::is_same_v<Epilogue, keep_sums>) {
      store_ints(to, sum, A{});
    } else {
      const auto y = scaled(sum, load_floats(&multiplier_[row], A{}), A{});
      if constexpr (std::is_same_v<Out, float>) {
        store_floats(to, y, A{});
      } else {
        auto* bytes = reinterpret_cast<std::int8_t*>(to);
        store_narrow(bytes, round(y, rounding_.highest, A{}), rounding_.limits, A{});
        if constexpr (std::is_unsigned_v<Out>) {
          for (index_t i = 0; i < simd::int_lanes<A>; ++i) to[i] = static_cast<Out>(to[i] ^ 0x80);
        }
      }
    }
  }

  const lut_matrix& w_;
  row_rounding<A, Epilogue, Out> rounding_;
  tensor_view<Out> out_;
  std::vector<std::int32_t> offset_;
  std::vector<std::int32_t> factor_;
  std::vector<float> multiplier_;
};

}  // namespace lutra::inline LUTRA_ABI
