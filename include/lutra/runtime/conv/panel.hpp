// lutra: panel.hpp - the inner loop of the convolution: output positions in lanes, weights broadcast.
// SPDX-License-Identifier: Apache-2.0
//
// A block is one vector of output positions (vector bytes of them). Its panel holds, for every group
// of four taps, the activations of all positions interleaved so that one 32-bit lane has what one
// dot product reads (simd/primitives/generic.hpp, store_panel). Weights are decoded once per call:
//   [strip][group][panel_vectors / 4][lanes] 32-bit lanes, one per output channel of the strip.
#pragma once

#include <lutra/runtime/lut_matrix.hpp>
#include <lutra/simd/unroll.hpp>
#include <span>

namespace lutra::inline LUTRA_ABI {

template <class A> inline constexpr index_t group_vectors = panel_vectors(A{});

// Decoded weights of a matrix for panel_dot: of all taps or, of a kernel of which a call needs a part, of some.
template <class A> class panel_weights {
 public:
  panel_weights() = default;
  explicit panel_weights(const lut_matrix& w) : panel_weights(w, w.layout().groups * w.steps()) {
    std::uint8_t* out = bytes_.data();
    for (index_t strip = 0; strip < w.strips(); ++strip, out += strip_bytes_) {
      with_codes_of<A>(w, [&](auto codes) { decode<decltype(codes)>(w, strip, out); });
    }
  }
  // In this order.
  panel_weights(const lut_matrix& w, std::span<const index_t> taps)
      : panel_weights(w, (static_cast<index_t>(taps.size()) + 3) / 4) {
    const panel_weights all(w);
    sums_.resize(static_cast<std::size_t>(w.strips() * simd::int_lanes<A>));
    for (index_t strip = 0; strip < w.strips(); ++strip) {
      select(all.bytes_.data() + strip * all.strip_bytes_, taps,
             bytes_.data() + strip * strip_bytes_, sums_.data() + strip * simd::int_lanes<A>);
    }
  }
  // Of the chosen taps' weights, without zero points.
  std::span<const std::int32_t> sums() const noexcept { return sums_; }
  // Lane of output channel `row` in group 0; the next group lies group_bytes further.
  const std::uint8_t* row(index_t row) const noexcept {
    return bytes_.data() + offset_[static_cast<std::size_t>(row)];
  }
  // One weight. As int16, in pairs of the taps 0 and 2, 1 and 3 of a group, or as int8.
  std::int8_t tap(index_t r, index_t k) const noexcept {
    const place p(k);
    return static_cast<std::int8_t>(row(r)[p.byte + p.shift / 8]);
  }
  static constexpr index_t group_bytes = group_vectors<A> / 4 * simd::vector_size<A>;

 private:
  // Of a tap: its lanes begin at byte `byte` of a strip, its bits of a lane at `shift`.
  struct place {
    index_t byte;
    int shift;
    explicit place(index_t k) noexcept
        : byte(k / 4 * group_bytes + k % parts * simd::vector_size<A>),
          shift(static_cast<int>(k % 4 / parts) * bits) {}
  };
  static constexpr index_t parts = group_vectors<A> / 4;
  static constexpr int bits = 8 * static_cast<int>(parts);

  panel_weights(const lut_matrix& w, index_t groups) : strip_bytes_(groups * group_bytes) {
    constexpr index_t lanes = simd::int_lanes<A>;
    for (index_t row = 0; row < w.rows(); ++row) {
      offset_.push_back(strip_bytes_ == 0 ? 0 : row / lanes * strip_bytes_ + row % lanes * 4);
    }
    bytes_.resize(static_cast<std::size_t>(w.strips() * strip_bytes_));
  }
  template <class Codes> static void decode(const lut_matrix& w, index_t strip, std::uint8_t* out) {
    const auto tables = Codes::template load_tables<A>(w.table(strip));
    const std::uint8_t* in = w.weights(strip);
    for (index_t step = 0; step < w.steps(); ++step, in += w.step_bytes(strip / panel_strips)) {
      simd::unroll<Codes::layout.groups>([&](auto g) {
        store_panel_weights(out, Codes::template read<g, A>(in, tables), A{});
        out += group_bytes;
      });
    }
  }

  typedef std::int32_t lane_vector __attribute__((vector_size(simd::vector_size<A>)));

  // One strip.
  static void select(const std::uint8_t* from, std::span<const index_t> taps, std::uint8_t* to,
                     std::int32_t* sums) {
    constexpr int in_lane = 4 / static_cast<int>(parts), rest = 32 - bits;
    const auto count = static_cast<index_t>(taps.size());
    lane_vector sum{};
    for (index_t first = 0; first < count; first += 4) {
      for (index_t part = 0; part < parts; ++part, to += sizeof(lane_vector)) {
        lane_vector lanes{};
        for (int i = 0; i < in_lane; ++i) {
          const index_t k = first + part + i * parts;
          if (k >= count) break;
          const place in(taps[static_cast<std::size_t>(k)]);
          lane_vector x;
          std::memcpy(&x, from + in.byte, sizeof x);
          lanes |= (x >> in.shift & ((1 << bits) - 1)) << i * bits;
          sum += x << (rest - in.shift) >> rest;  // with its sign
        }
        std::memcpy(to, &lanes, sizeof lanes);
      }
    }
    std::memcpy(sums, &sum, sizeof sum);
  }

  index_t strip_bytes_ = 0;
  // By row. Dividing on the way costs a tenth of a shallow convolution.
  std::vector<index_t> offset_;
  std::vector<std::uint8_t> bytes_;
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
  decltype(as_sum(splat_ints(0, A{}), A{})) sum[static_cast<std::size_t>(Rows)][4];
  const std::uint8_t* w[static_cast<std::size_t>(Rows)];
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
