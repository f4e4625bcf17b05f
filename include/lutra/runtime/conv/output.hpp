// lutra: output.hpp - what becomes of the sums of a convolution: epilogue and place, channel by channel.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/runtime/conv/job.hpp>

namespace lutra::inline LUTRA_ABI {

// From lane `from` of a block on, `count` outputs belong `to` elements behind the start of the block's first row.
struct output_run {
  index_t from, to, count;
};

// sum -= zero_point * (sums of the activations at the same positions)
template <class A>
[[gnu::always_inline]] inline void subtract_activations(const simd::ints_of<A> (&sums)[4],
                                                        std::int32_t zero_point,
                                                        simd::ints_of<A> (&sum)[4]) {
  const auto factor = splat_ints(-zero_point, A{});
  simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
    sum[v] = add(sum[v], multiply(factor, sums[v], A{}), A{});
  });
}
template <class A>
[[gnu::always_inline]] inline void subtract_activations(const std::int32_t* sums,
                                                        std::int32_t zero_point,
                                                        simd::ints_of<A> (&sum)[4]) {
  simd::ints_of<A> x[4];
  simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
    x[v] = load_ints(sums + v * simd::int_lanes<A>, A{});
  });
  subtract_activations<A>(x, zero_point, sum);
}

template <class A, class Epilogue, class Out> class conv_output {
 public:
  conv_output(const Epilogue& epilogue, const tensor_view<Out>& out)
      : epilogue_(epilogue),
        out_(out),
        rounding_(epilogue),
        dense_(out.stride(3) == 1 && out.stride(2) == out.extent(3)) {}

  Out* row(index_t n, index_t first) const noexcept {  // of channel 0
    return out_.data() + n * out_.stride(0) + first * out_.stride(2);
  }
  index_t column_stride() const noexcept { return out_.stride(3); }
  index_t channel_stride() const noexcept { return out_.stride(1); }

  // Adds the runs of `count` positions from `begin` on where rows have `width`, of which those behind the output's are
  // dropped.
  void add_runs(index_t begin, index_t count, index_t width, std::vector<output_run>& runs) const {
    const index_t columns = out_.extent(3);
    if (dense_ && width == columns) {
      runs.push_back({0, begin, count});
      return;
    }
    for (index_t lane = 0; lane < count;) {
      const index_t i = (begin + lane) / width, j = begin + lane - i * width;
      const index_t some = std::min(columns - j, count - lane);
      if (some > 0) runs.push_back({lane, i * out_.stride(2) + j * out_.stride(3), some});
      lane += width - j;
    }
  }
  // Whether a block of `count` outputs lies in memory as it is made.
  bool in_place(std::span<const output_run> runs, index_t count) const noexcept {
    return dense_ && runs.size() == 1 && runs.front().count == count;
  }
  // Otherwise. `to`: the first row of the channel.
  void scatter(std::span<const output_run> runs, const Out* finished, Out* to) const {
    const index_t stride = out_.stride(3);
    for (const output_run& run : runs) {
      const Out* from = finished + run.from;
      if (stride == 1) {
        copy_run(to + run.to, from, to_size(run.count) * sizeof(Out));
        continue;
      }
      for (index_t k = 0; k < run.count; ++k) to[run.to + k * stride] = from[k];
    }
  }

  // The epilogue of one channel, a whole vector of outputs; with two phases the larger of each two, half of one.
  template <int Phases>
  [[gnu::always_inline]] void store(Out* to, index_t row, simd::ints_of<A> (&sum)[4]) const {
    if constexpr (std::is_same_v<Epilogue, keep_sums>) {
      store_columns(to, sum, A{});
    } else if constexpr (std::is_same_v<Out, float>) {
      simd::floats_of<A> y[4];
      scale(row, sum, y);
      store_columns(to, y, A{});
    } else {
      Out whole[to_size(size)];
      store_bytes(whole, bytes<Phases>(row, sum), A{});
      std::memcpy(to, whole, sizeof whole / Phases);
    }
  }
  // The same, of requantize, as a vector.
  template <int Phases>
  [[gnu::always_inline]] simd::bytes_of<A> bytes(index_t row,
                                                 const simd::ints_of<A> (&sum)[4]) const {
    simd::floats_of<A> y[4];
    scale(row, sum, y);
    return rounded<Phases>(y);
  }
  // The epilogue of `Registers` registers of channels from `row` on, which lie side by side in the output: of
  // `positions` positions, whose sums lie one behind the other, without what all of them start from. For levels with
  // has_tiles.
  template <int Registers>
  [[gnu::always_inline]] void store_positions(Out* to, index_t row, const std::int32_t* start,
                                              const std::int32_t* sums, index_t positions) const {
    constexpr index_t lanes = simd::int_lanes<A>, channels = Registers * lanes;
    constexpr index_t at_once = 4 / Registers;
    simd::ints_of<A> from[to_size(Registers)];
    simd::floats_of<A> m[to_size(Registers)], rest[to_size(Registers)];
    simd::unroll<Registers>([&](auto r) __attribute__((always_inline)) {
      from[r] = load_ints(start + r * lanes, A{});
    });
    if constexpr (!std::is_same_v<Epilogue, keep_sums>) {
      simd::unroll<Registers>([&](auto r) __attribute__((always_inline)) {
        m[r] = load_floats(epilogue_.multiplier.data() + row + r * lanes, A{});
        rest[r] = epilogue_.rest.empty()
                      ? splat_floats(0.0F, A{})
                      : load_floats(epilogue_.rest.data() + row + r * lanes, A{});
      });
    }
    const auto store_some = [&](index_t first, index_t count) __attribute__((always_inline)) {
      simd::floats_of<A> y[4];
      simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
        constexpr index_t r = i % Registers;
        const index_t p = first + std::min<index_t>(i / Registers, count - 1);
        const auto sum = add(from[r], load_ints(sums + p * channels + r * lanes, A{}), A{});
        if constexpr (std::is_same_v<Epilogue, keep_sums>) {
          store_ints(to + p * column_stride() + r * lanes, sum, A{});
        } else {
          y[i] = scaled(sum, rest[r], m[r], A{});
          if constexpr (std::is_same_v<Out, float>) {
            store_floats(to + p * column_stride() + r * lanes, y[i], A{});
          }
        }
      });
      if constexpr (sizeof(Out) == 1) {
        simd::ints_of<A> q[4];
        simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
          q[i] = round(y[i], rounding_.highest, A{});
        });
        auto bytes = narrow_in_order(q, rounding_.limits, A{});
        if constexpr (std::is_unsigned_v<Out>) bytes = flip_sign(bytes, A{});
        for (index_t p = 0; p < count; ++p) {
          store_bytes_of(to + (first + p) * column_stride(), bytes, p * channels, channels, A{});
        }
      }
    };
    index_t p = 0;
    for (; p + at_once <= positions; p += at_once) store_some(p, at_once);
    if (p < positions) store_some(p, positions - p);
  }

  // Of sums that are scaled.
  template <int Phases>
  [[gnu::always_inline]] simd::bytes_of<A> rounded(const simd::floats_of<A> (&y)[4]) const {
    simd::ints_of<A> q[4];
    simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
      q[v] = round(y[v], rounding_.highest, A{});
    });
    auto b = narrow(q, rounding_.limits, A{});
    if constexpr (Phases == 2) b = max(even_bytes(b, b, A{}), odd_bytes(b, b, A{}), A{});
    if constexpr (std::is_unsigned_v<Out>) b = flip_sign(b, A{});
    return b;
  }
  // store(), or for a slice_epilogue that of the only slice, whose row has that scale.
  template <int Phases>
  [[gnu::always_inline]] void finish(Out* to, index_t row, [[maybe_unused]] float row_scale,
                                     simd::ints_of<A> (&sum)[4]) const {
    if constexpr (slice_epilogue<Epilogue>) {
      alignas(64) std::int32_t raw[to_size(size)];
      alignas(64) float sums[to_size(size)] = {};
      for (int i = 0; i < 4; ++i) store_ints(raw + i * simd::int_lanes<A>, sum[i], A{});
      Epilogue::template add<A>(raw, row_scale, size, sums);
      store_slices(to, row, sums);
    } else {
      store<Phases>(to, row, sum);
    }
  }
  // Of a slice_epilogue: sums of all slices, in panel order.
  [[gnu::always_inline]] void store_slices(Out* to, index_t row, const float* sums) const {
    alignas(64) float ordered[to_size(size)];
    simd::floats_of<A> y[4];
    simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
      y[v] = load_floats(sums + v * simd::int_lanes<A>, A{});
    });
    store_columns(ordered, y, A{});
    epilogue_.template write<A>(row, ordered, size, to);
  }

 private:
  static constexpr index_t size = simd::vector_size<A>;
  [[gnu::always_inline]] void scale(index_t row, const simd::ints_of<A> (&sum)[4],
                                    simd::floats_of<A> (&y)[4]) const {
    const auto m = splat_floats(epilogue_.multiplier[to_size(row)], A{});
    const auto rest = splat_floats(rest_of(epilogue_.rest, row), A{});
    simd::unroll<4>([&](auto v)
                        __attribute__((always_inline)) { y[v] = scaled(sum[v], rest, m, A{}); });
  }

  const Epilogue& epilogue_;
  const tensor_view<Out>& out_;
  row_rounding<A, Epilogue, Out> rounding_;
  bool dense_;  // images of the output are contiguous
};

}  // namespace lutra::inline LUTRA_ABI
