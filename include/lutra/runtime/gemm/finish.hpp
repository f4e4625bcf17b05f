// lutra: finish.hpp - from the kernel's raw sums of one column to finished outputs.
// SPDX-License-Identifier: Apache-2.0
//
//   sum = raw - (weight_bias + zero_point[row]) * (sum of the activations)  [+ 128 * row_sum[row]]
// and then the epilogue. The bracket is for uint8 activations, which the kernel sees minus 128.
#pragma once

#include <cstring>
#include <lutra/runtime/epilogue.hpp>
#include <lutra/runtime/lut_matrix.hpp>
#include <lutra/tensor/view.hpp>

namespace lutra::inline LUTRA_ABI {

// Writes the outputs of one matrix; concurrent calls for different panels or columns are safe.
template <class A, class Epilogue, class Out> class row_finisher {
 public:
  row_finisher(const lut_matrix& w, const Epilogue& e, tensor_view<Out> out, bool unsigned_x)
      : w_(w), epilogue_(e), rounding_(e), out_(out), unsigned_x_(unsigned_x) {}

  // raw: the sums of one panel for column m, whose activations add up to x_sum.
  void operator()(index_t panel, index_t m, std::int32_t x_sum, const std::int32_t* raw) const {
    const index_t first = panel * panel_strips * lanes;
    const index_t count = std::min(panel_strips * lanes, w_.rows() - first);
    Out* to = out_.data() + m * out_.stride(0) + first * out_.stride(1);
    alignas(64) Out finished[static_cast<std::size_t>(panel_strips * lanes)];
    const bool in_place = out_.stride(1) == 1 && count == panel_strips * lanes;
    const auto negative_x = splat_ints(static_cast<std::int32_t>(0U - as_unsigned(x_sum)), A{});
    const auto bias = multiply(splat_ints(weight_bias(A{}), A{}), negative_x, A{});
    for (index_t at = 0; at < count; at += lanes) {
      auto sum = add(load_ints(raw + at, A{}), bias, A{});
      if (w_.has_zero_points()) {
        const auto zero_point = load_ints(w_.zero_points() + first + at, A{});
        sum = add(sum, multiply(zero_point, negative_x, A{}), A{});
      }
      if (unsigned_x_) {
        const auto row_sum = load_ints(w_.row_sums() + first + at, A{});
        sum = add(sum, multiply(row_sum, splat_ints(128, A{}), A{}), A{});
      }
      store((in_place ? to : finished) + at, sum, first + at);
    }
    if (in_place) return;
    if (out_.stride(1) == 1) {
      std::memcpy(to, finished, static_cast<std::size_t>(count) * sizeof(Out));
    } else {
      for (index_t i = 0; i < count; ++i) to[i * out_.stride(1)] = finished[i];
    }
  }

 private:
  static constexpr index_t lanes = simd::int_lanes<A>;
  static std::uint32_t as_unsigned(std::int32_t x) { return static_cast<std::uint32_t>(x); }

  // The epilogue of `lanes` rows from `row` on; the last strip may have fewer.
  void store(Out* to, simd::ints_of<A> sum, index_t row) const {
    if constexpr (std::is_same_v<Epilogue, keep_sums>) {
      store_ints(to, sum, A{});
    } else if (row + lanes <= w_.rows()) {
      const std::int32_t* bias = epilogue_.bias.empty() ? nullptr : epilogue_.bias.data() + row;
      store(to, sum, bias, epilogue_.multiplier.data() + row);
    } else {
      std::int32_t bias[static_cast<std::size_t>(lanes)] = {};
      float multiplier[static_cast<std::size_t>(lanes)] = {};
      for (index_t i = 0; i < w_.rows() - row; ++i) {
        bias[i] = bias_of(epilogue_.bias, row + i);
        multiplier[i] = epilogue_.multiplier[static_cast<std::size_t>(row + i)];
      }
      store(to, sum, bias, multiplier);
    }
  }
  void store(Out* to, simd::ints_of<A> sum, const std::int32_t* bias,
             const float* multiplier) const {
    if (bias != nullptr) sum = add(sum, load_ints(bias, A{}), A{});
    const auto y = scaled(sum, load_floats(multiplier, A{}), A{});
    if constexpr (std::is_same_v<Out, float>) {
      store_floats(to, y, A{});
    } else {
      auto* bytes = reinterpret_cast<std::int8_t*>(to);
      store_narrow(bytes, round(y, rounding_.highest, A{}), rounding_.limits, A{});
      if constexpr (std::is_unsigned_v<Out>) {
        for (index_t i = 0; i < lanes; ++i) to[i] = static_cast<Out>(to[i] ^ 0x80);
      }
    }
  }

  const lut_matrix& w_;
  const Epilogue& epilogue_;
  row_rounding<A, Epilogue, Out> rounding_;
  tensor_view<Out> out_;
  bool unsigned_x_;
};

}  // namespace lutra::inline LUTRA_ABI
