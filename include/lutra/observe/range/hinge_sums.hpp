// lutra: hinge_sums.hpp - sums of distances, and of their squares, to the values on one side of a point.
// SPDX-License-Identifier: Apache-2.0
//
// The values of a histogram are taken to be spread evenly within each bin; points are in bin widths from the
// lower edge of bin 0. With N(e) values below an edge e (as integers),
//   H(e) = sum over x < e of (e - x),      2 H(e + 1) = 2 H(e) + N(e) + N(e + 1)
//   G(e) = sum over x < e of (e - x)^2 = sum over edges i <= e of 2 H(i) - H(e) - N(e) / 6
// so that one pass of integer additions, which no order can change, gives them all. Beyond 2^59 / bins values
// counts lose low bits, rounded up. bins * 18 bytes.
#pragma once

#include <array>
#include <bit>
#include <lutra/core/strict_fp.hpp>
#include <lutra/observe/histogram.hpp>
#include <memory>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Immutable once made; concurrent reads are safe.
class hinge_sums {
 public:
  explicit hinge_sums(const histogram& h)
      : end_(static_cast<double>(h.bins())),
        edge_(std::make_unique_for_overwrite<edge[]>(to_size(h.bins()) + 2)),
        twice_hinges_(std::make_unique_for_overwrite<double[]>(to_size(h.bins()) / 4 + 1)) {
    const auto bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(h.finite())) +
                                       std::bit_width(static_cast<std::uint64_t>(h.bins())));
    bits <= 59 ? add<false>(h, 0) : add<true>(h, bits - 59);
  }
  // N(t): number of values below t.
  double count_below(double t) const noexcept {
    const place p(t, end_);
    const edge* e = &edge_[to_size(p.edge)];
    return e[0].count + p.fraction * (e[1].count - e[0].count);
  }
  // H(t): sum of t - x over the values x below t.
  double below(double t) const noexcept {
    const place p(t, end_);
    return 0.5 * static_cast<double>(edge_[to_size(p.edge)].twice_hinge) +
           within(p.edge, p.fraction);
  }
  // Sum of H at n evenly spaced points, at most 256. Four interleaved sums, so that none waits for another.
  double below(double start, double step, index_t n) const noexcept {
    std::array<std::int32_t, 256> at;
    std::array<double, 256> fraction;
    for (index_t i = 0; i < n; ++i) {
      const place p(start + step * static_cast<double>(i), end_);
      at[to_size(i)] = p.edge;
      fraction[to_size(i)] = p.fraction;
    }
    double whole = 0;
    std::array<double, 4> part{};
    const auto count = to_size(n);
    const auto add = [&](std::size_t i, std::size_t lane) {
      part[lane] += within(at[i], fraction[i]);
      return edge_[to_size(at[i])].twice_hinge;
    };
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
      const std::int64_t first = add(i, 0) + add(i + 1, 1);
      whole += static_cast<double>(first + (add(i + 2, 2) + add(i + 3, 3)));
    }
    for (; i < count; ++i) whole += static_cast<double>(add(i, 0));
    return 0.5 * whole + ((part[0] + part[2]) + (part[1] + part[3]));
  }
  // G(t): sum of (t - x)^2 over the values x below t.
  double square_below(double t) const noexcept {
    const place p(t, end_);
    double twice_hinges = twice_hinges_[to_size(p.edge / 4)];
    for (std::int32_t e = p.edge & ~3; e < p.edge;) {
      twice_hinges += static_cast<double>(edge_[to_size(++e)].twice_hinge);
    }
    const edge* e = &edge_[to_size(p.edge)];
    const auto twice_hinge = static_cast<double>(e->twice_hinge);
    const auto count = e->count;
    const auto own = e[1].count - e->count;
    const double f = p.fraction;
    return twice_hinges - 0.5 * twice_hinge - count / 6.0 +
           f * (twice_hinge + f * (count + f * own / 3.0));
  }
  // Sum of (x - v)^2 over all values.
  double square_about(double v) const noexcept {
    const double beyond = end_ - v;
    return square_ + beyond * (beyond * count_ - 2.0 * hinge_);
  }

 private:
  struct edge {
    std::int64_t twice_hinge;
    double count;  // of the values below, a whole number
  };
  struct place {
    std::int32_t edge;
    double fraction;
    place(double t, double end) noexcept {
      const double positive = t > 0.0 ? t : 0.0;
      edge = static_cast<std::int32_t>(positive < end ? positive : end);
      fraction = positive - static_cast<double>(edge);
    }
  };
  // H beyond the lower edge of a bin.
  double within(std::int32_t at, double f) const noexcept {
    const edge* e = &edge_[to_size(at)];
    return f * (e[0].count + f * (0.5 * (e[1].count - e[0].count)));
  }
  // Four bins at a time, so that the sum of hinges waits for one addition in four bins.
  template <bool Shifted> void add(const histogram& h, int shift) {
    const auto bins = to_size(h.bins());
    const auto counts = h.counts();
    const std::uint64_t up = (std::uint64_t{1} << shift) - 1;
    std::int64_t twice_hinge = 0;
    std::int64_t below = 0;
    double hinges = 0;
    std::size_t i = 0;
    edge* edges = edge_.get();
    // Called in five places, which alone would keep it from being inlined.
    const auto next = [&]() __attribute__((always_inline)) {
      edges[i] = {twice_hinge, static_cast<double>(below)};
      const std::uint64_t c = Shifted ? (counts[i] + up) >> shift : counts[i];
      twice_hinge += below;
      below += static_cast<std::int64_t>(c);
      twice_hinge += below;
      ++i;
      return twice_hinge;
    };
    while (i + 4 <= bins) {
      twice_hinges_[i / 4] = hinges;
      const std::int64_t first = next() + next();
      hinges += static_cast<double>(first + (next() + next()));
    }
    twice_hinges_[i / 4] = hinges;
    while (i < bins) next();
    edge_[bins] = {twice_hinge, static_cast<double>(below)};
    edge_[bins + 1] = edge_[bins];
    square_ = square_below(end_);
    hinge_ = this->below(end_);
    count_ = count_below(end_);
  }

  double end_ = 0;
  double square_ = 0, hinge_ = 0, count_ = 0;  // of all values, from the end
  std::unique_ptr<edge[]> edge_;
  std::unique_ptr<double[]> twice_hinges_;  // sum of 2 H over the edges up to every fourth
};

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
