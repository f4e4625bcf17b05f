// lutra: finish.hpp - from the kernel's products of one column to finished outputs.
// SPDX-License-Identifier: Apache-2.0
//
//   sum = raw - zero_point[row] * (sum of the activations)  [+ 128 * row_sum[row]]
// and then the epilogue. The bracket is for uint8 activations, which the kernel sees minus 128. Where nothing of this
// is left to do, products go straight to their place (in_place).
#pragma once

#include <cstring>
#include <lutra/runtime/epilogue.hpp>
#include <lutra/runtime/lut_matrix.hpp>
#include <lutra/tensor/view.hpp>

namespace lutra::inline LUTRA_ABI {

// The exact sums of one strip. negative_x: minus the sum of the activations, in every lane;
// row_sum_factor: what was taken off every activation.
template <class A>
[[gnu::always_inline]] inline simd::ints_of<A> exact_sums(const lut_matrix& w,
                                                          const std::int32_t* raw, index_t row,
                                                          simd::ints_of<A> negative_x,
                                                          std::int32_t row_sum_factor) {
  auto sum = load_ints(raw, A{});
  if (w.has_zero_points()) {
    sum = add(sum, multiply(load_ints(w.zero_points() + row, A{}), negative_x, A{}), A{});
  }
  if (row_sum_factor != 0) {
    const auto row_sum = load_ints(w.row_sums() + row, A{});
    sum = add(sum, multiply(row_sum, splat_ints(row_sum_factor, A{}), A{}), A{});
  }
  return sum;
}
template <class A> simd::ints_of<A> negative(std::int32_t x) {
  return splat_ints(static_cast<std::int32_t>(0U - static_cast<std::uint32_t>(x)), A{});
}

// Writes the outputs of one matrix; concurrent calls for different panels or columns are safe.
template <class A, class Epilogue, class Out> class row_finisher {
 public:
  row_finisher(const lut_matrix& w, const Epilogue& e, tensor_view<Out> out, bool unsigned_x)
      : w_(w), epilogue_(e), rounding_(e), out_(out), unsigned_x_(unsigned_x) {}

  // Where the products of a panel for column m are outputs as they are, out_stride() before those of column m + 1;
  // null if they are not.
  std::int32_t* in_place(index_t panel, index_t m) const {
    if constexpr (std::is_same_v<Epilogue, keep_sums>) {
      const index_t first = panel * panel_strips * lanes;
      const bool whole = first + panel_strips * lanes <= w_.rows() && out_.stride(1) == 1;
      if (whole && !unsigned_x_ && !w_.has_zero_points()) {
        return out_.data() + m * out_.stride(0) + first;
      }
    }
    return nullptr;
  }
  index_t out_stride() const noexcept { return out_.stride(0); }
  // raw: the products of one panel for column m, whose activations add up to x_sum.
  void operator()(index_t panel, index_t m, std::int32_t x_sum, const std::int32_t* raw) const {
    const index_t first = panel * panel_strips * lanes;
    const index_t count = std::min(panel_strips * lanes, w_.rows() - first);
    Out* to = out_.data() + m * out_.stride(0) + first * out_.stride(1);
    alignas(64) Out finished[to_size(panel_strips * lanes)];
    const bool directly = out_.stride(1) == 1 && count == panel_strips * lanes;
    const auto negative_x = negative<A>(x_sum);
    for (index_t at = 0; at < count; at += lanes) {
      const auto sum = exact_sums<A>(w_, raw + at, first + at, negative_x, unsigned_x_ ? 128 : 0);
      store((directly ? to : finished) + at, sum, first + at);
    }
    if (directly) return;
    if (out_.stride(1) == 1) {
      std::memcpy(to, finished, to_size(count) * sizeof(Out));
    } else {
      for (index_t i = 0; i < count; ++i) to[i * out_.stride(1)] = finished[i];
    }
  }

 private:
  static constexpr index_t lanes = simd::int_lanes<A>;

  // The epilogue of `lanes` rows from `row` on; the last strip may have fewer.
  void store(Out* to, simd::ints_of<A> sum, index_t row) const {
    if constexpr (std::is_same_v<Epilogue, keep_sums>) {
      store_ints(to, sum, A{});
    } else if (row + lanes <= w_.rows()) {
      const std::int32_t* bias = epilogue_.bias.empty() ? nullptr : epilogue_.bias.data() + row;
      const float* rest = epilogue_.rest.empty() ? nullptr : epilogue_.rest.data() + row;
      store(to, sum, bias, rest, epilogue_.multiplier.data() + row);
    } else {
      std::int32_t bias[to_size(lanes)] = {};
      float rest[to_size(lanes)] = {};
      float multiplier[to_size(lanes)] = {};
      for (index_t i = 0; i < w_.rows() - row; ++i) {
        bias[i] = bias_of(epilogue_.bias, row + i);
        rest[i] = rest_of(epilogue_.rest, row + i);
        multiplier[i] = epilogue_.multiplier[to_size(row + i)];
      }
      store(to, sum, bias, rest, multiplier);
    }
  }
  void store(Out* to, simd::ints_of<A> sum, const std::int32_t* bias, const float* rest,
             const float* multiplier) const {
    if (bias != nullptr) sum = add(sum, load_ints(bias, A{}), A{});
    const auto m = load_floats(multiplier, A{});
    const auto y =
        rest == nullptr ? scaled(sum, m, A{}) : scaled(sum, load_floats(rest, A{}), m, A{});
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
