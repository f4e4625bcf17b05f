// lutra: panel.hpp - the inner loop of the convolution: output positions in lanes, weights broadcast.
// SPDX-License-Identifier: Apache-2.0
//
// A block is one vector of output positions (vector bytes of them). Its panel holds, for every group
// of four taps, the activations of all positions interleaved so that one 32-bit lane has what one
// dot product reads (simd/primitives/generic.hpp, store_panel). Weights are decoded once per call, also where its
// phases take some of them each (conv_transpose.hpp):
//   [strip][group][panel_vectors / 4][lanes] 32-bit lanes, one per output channel of the strip.
#pragma once

#include <cstring>
#include <lutra/runtime/lut_matrix.hpp>
#include <lutra/simd/unroll.hpp>
#include <memory>
#include <span>
#include <vector>

namespace lutra::inline LUTRA_ABI {

template <class A> inline constexpr index_t group_vectors = panel_vectors(A{});

// Calls f(v) for all weights, a vector of bytes each: strip by strip, group by group of four taps, [row of the
// strip][4]. As the matrix stores them: weight_bias(A) too large, without zero points.
template <class A, class F> void each_weight_vector(const lut_matrix& w, F&& f) {
  for (index_t strip = 0; strip < w.strips(); ++strip) {
    with_codes_of<A>(w, [&](auto codes) {
      using Codes = decltype(codes);
      const auto tables = Codes::template load_tables<A>(w.table(strip));
      const std::uint8_t* in = w.weights(strip);
      for (index_t step = 0; step < w.steps(); ++step, in += w.step_bytes(strip / panel_strips)) {
        simd::unroll<Codes::layout.groups>(
            [&](auto g) { f(Codes::template read<g, A>(in, tables)); });
      }
    });
  }
}

// Decoded weights of a matrix, to take some of them from.
template <class A> class byte_weights {
 public:
  explicit byte_weights(const lut_matrix& w)
      : strip_bytes_(w.layout().groups * w.steps() * simd::vector_size<A>),
        bytes_(std::make_unique_for_overwrite<std::uint8_t[]>(
            static_cast<std::size_t>(w.strips() * strip_bytes_))) {
    std::uint8_t* out = bytes_.get();
    each_weight_vector<A>(w, [&](auto v) {
      store_bytes(out, v, A{});
      out += simd::vector_size<A>;
    });
  }
  // In the order of each_weight_vector.
  const std::uint8_t* strip(index_t s) const noexcept { return bytes_.get() + s * strip_bytes_; }
  // One weight, without zero point.
  std::int8_t weight(index_t row, index_t k) const noexcept {
    constexpr index_t lanes = simd::int_lanes<A>;
    const std::uint8_t stored =
        strip(row / lanes)[k / 4 * simd::vector_size<A> + row % lanes * 4 + k % 4];
    return static_cast<std::int8_t>(stored - weight_bias(A{}));
  }

 private:
  index_t strip_bytes_;
  std::unique_ptr<std::uint8_t[]> bytes_;
};

// Weights of a matrix for panel_dot: of all taps or, of a kernel of which a call needs a part, of some.
template <class A> class panel_weights {
 public:
  panel_weights() = default;
  explicit panel_weights(const lut_matrix& w) : panel_weights(w, w.layout().groups * w.steps()) {
    std::uint8_t* out = bytes_.get();
    each_weight_vector<A>(w, [&](auto v) {
      store_panel_weights(out, v, A{});
      out += group_bytes;
    });
  }
  // Of some taps, in this order.
  panel_weights(const lut_matrix& w, const byte_weights<A>& decoded, std::span<const index_t> taps)
      : panel_weights(w, (static_cast<index_t>(taps.size()) + 3) / 4) {
    std::vector<place> places;
    places.reserve(taps.size());
    for (const index_t k : taps) places.push_back({k / 4 * simd::vector_size<A>, k % 4 * 8});
    sums_.resize(static_cast<std::size_t>(w.strips() * simd::int_lanes<A>));
    for (index_t strip = 0; strip < w.strips(); ++strip) {
      select(decoded.strip(strip), places, bytes_.get() + strip * strip_bytes_,
             sums_.data() + strip * simd::int_lanes<A>);
    }
  }
  // Of the chosen taps' weights, without zero points.
  std::span<const std::int32_t> sums() const noexcept { return sums_; }
  // Lane of output channel `row` in group 0; the next group lies group_bytes further.
  const std::uint8_t* row(index_t row) const noexcept {
    return bytes_.get() + offset_[static_cast<std::size_t>(row)];
  }
  static constexpr index_t group_bytes = group_vectors<A> / 4 * simd::vector_size<A>;

 private:
  // Of a tap among decoded weights: the vector of its group, and its bits in a lane of that.
  struct place {
    index_t byte, shift;
  };
  typedef std::uint32_t lane_vector __attribute__((vector_size(simd::vector_size<A>)));

  panel_weights(const lut_matrix& w, index_t groups)
      : strip_bytes_(groups * group_bytes),
        bytes_(std::make_unique_for_overwrite<std::uint8_t[]>(
            static_cast<std::size_t>(w.strips() * strip_bytes_))) {
    constexpr index_t lanes = simd::int_lanes<A>;
    offset_.reserve(static_cast<std::size_t>(w.rows()));
    for (index_t row = 0; row < w.rows(); ++row) {
      offset_.push_back(strip_bytes_ == 0 ? 0 : row / lanes * strip_bytes_ + row % lanes * 4);
    }
  }

  // One strip. Sums are those of bytes that are 128 too large, two halves of a lane apart; they fit for 128 groups.
  static void select(const std::uint8_t* from, std::span<const place> taps, std::uint8_t* to,
                     std::int32_t* sums) {
    constexpr std::uint32_t halves = 0x00ff00ff, sign = 0x80808080,
                            zero = weight_bias(A{}) != 0 ? 128 : 0;
    lane_vector sum{}, some{};
    index_t groups = 0;
    for (std::size_t first = 0; first < taps.size(); first += 4, to += group_bytes) {
      lane_vector lanes{};
      for (std::size_t i = 0; i < 4; ++i) {
        if (first + i >= taps.size()) {
          lanes |= zero << 8 * i;
          continue;
        }
        lane_vector x;
        std::memcpy(&x, from + taps[first + i].byte, sizeof x);
        lanes |= (x >> static_cast<int>(taps[first + i].shift) & 255U) << static_cast<int>(8 * i);
      }
      const lane_vector large = zero != 0 ? lanes : lanes ^ sign;
      some += (large & halves) + (large >> 8 & halves);
      if (++groups % 128 == 0 || first + 4 >= taps.size()) {
        sum += (some & 0xffffU) + (some >> 16);
        some = lane_vector{};
      }
      store_panel_weights(to, load_bytes(&lanes, A{}), A{});
    }
    sum -= static_cast<std::uint32_t>(groups * 4 * 128);
    std::memcpy(sums, &sum, sizeof sum);
  }

  index_t strip_bytes_ = 0;
  // By row. Dividing on the way costs a tenth of a shallow convolution.
  std::vector<index_t> offset_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::vector<std::int32_t> sums_;  // of chosen taps
};

// Panel of one block: `tap(k)` is the vector of activations that tap k meets. Taps that only fill the
// last group read as 0 after the bias, so their weights do not matter.
template <class A, class Tap> void fill_panel(index_t taps, std::int8_t* panel, Tap&& tap) {
  const auto none = splat_bytes(panel_bias(A{}) != 0 ? -128 : 0, A{});
  for (index_t k = 0; k < taps; k += 4, panel += group_vectors<A> * simd::vector_size<A>) {
    const auto tap_or_none = [&](index_t i) { return i < taps ? tap(i) : none; };
    store_panel(panel, tap(k), tap_or_none(k + 1), tap_or_none(k + 2), tap_or_none(k + 3), A{});
  }
}

// sums[r][v] = start[r] + (panel times the weights of channel r), Rows channels at once.
template <class A, int Rows, class Finish>
[[gnu::always_inline]] inline void multiply_panel_rows(const std::int8_t* panel, index_t groups,
                                                       const std::uint8_t* const* weights,
                                                       const std::int32_t* start, Finish&& finish) {
  constexpr index_t size = simd::vector_size<A>;
  decltype(as_sum(splat_ints(0, A{}), A{})) sum[to_size(Rows)][4];
  const std::uint8_t* w[to_size(Rows)];
  simd::unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    w[r] = weights[r];
    simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
      sum[r][v] = as_sum(splat_ints(start[r], A{}), A{});
    });
  });
  index_t at = 0;  // of the group in a channel's weights
  for (index_t group = 0; group < groups; ++group) {
    simd::unroll<group_vectors<A> / 4>([&](auto part) __attribute__((always_inline)) {
      simd::bytes_of<A> x[4];
      simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
        x[v] = load_bytes(panel + (4 * part + v) * size, A{});
      });
      simd::unroll<Rows>([&](auto r) __attribute__((always_inline)) {
        const auto lane = panel_weight(w[r] + at + part * size, A{});
        simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
          sum[r][v] = as_sum(panel_dot(as_ints(sum[r][v], A{}), x[v], lane, A{}), A{});
        });
      });
    });
    panel += group_vectors<A> * size;
    at += panel_weights<A>::group_bytes;
  }
  simd::unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    simd::ints_of<A> row[4];
    simd::unroll<4>([&](auto v)
                        __attribute__((always_inline)) { row[v] = as_ints(sum[r][v], A{}); });
    finish(r, row);
  });
}

}  // namespace lutra::inline LUTRA_ABI
