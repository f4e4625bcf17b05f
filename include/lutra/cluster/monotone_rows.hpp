// lutra: monotone_rows.hpp - one layer of the interval dynamic programme, vectorised.
// SPDX-License-Identifier: Apache-2.0
//
// For every row r, the least over candidates c of
//   base[c] - (S_r - S_c)^2 / |W_r - W_c|        with 0 for the fraction where W_r = W_c
// and the smallest c that attains it. Candidates on the wrong side of the row are passed over. The best
// c is monotone in r (the interval cost satisfies the quadrangle inequality), so rows are solved by
// divide and conquer: one row at a time with the lanes over candidates while ranges are long, then
// eight rows in lanes. Every value is formed by the same IEEE operations in double whatever the number
// of lanes, so results are identical on every level.
// Cost: about 20 candidates per row; a candidate costs one division.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>
#include <lutra/simd/arch.hpp>
#include <type_traits>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Rows and candidates lie in the same arrays W and S (prefix sums at the grid positions).
// `forward`: candidates are at or left of the row, otherwise at or right of it. The arrays, and `base`,
// may be read up to seven entries past the last row and the last candidate.
template <bool forward, class Level> class monotone_rows {
 public:
  monotone_rows(const double* w, const double* s, const double* base, double* least,
                std::uint32_t* best) noexcept
      : w_(w), s_(s), base_(base), least_(least), best_(best) {}

  // Rows [r0, r1) over candidates [c0, c1], both grid indices. `base` is indexed by candidate, the
  // outputs by row. Every row must have a candidate on its side. `own` is added to every row's value,
  // and rows above `limit` are not wanted: as values grow away from the candidates' side, the far
  // rows may be left as they are once one of them exceeds it.
  void solve(index_t r0, index_t r1, index_t c0, index_t c1, const double* own,
             double limit) const noexcept {
    while (r1 - r0 > 8 && c1 - c0 > 8) {
      const index_t r = r0 + (r1 - r0) / 2;
      solve_row(r, c0, c1, own);
      const index_t c = best_[r];
      const bool beyond = least_[r] > limit;
      if (!(beyond && !forward)) solve(r0, r, c0, c, own, limit);
      if (beyond && forward) return;
      r0 = r + 1;
      c0 = c;
    }
    for (; r0 < r1; r0 += 8) eight_rows(r0, r1, c0, c1, own);
  }

  // One row alone.
  void solve_row(index_t r, index_t c0, index_t c1, const double* own) const noexcept {
    one_row(r, c0, c1);
    least_[r] += own[r];
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr double tiny = std::numeric_limits<double>::min();

  // The order of operations that decides; the vector forms below are the same, lane by lane.
  double value(double w, double s, index_t c) const noexcept {
    const double dw = forward ? w - w_[c] : w_[c] - w;
    const double ds = s - s_[c];
    return dw < 0 ? infinity : base_[c] - ds * ds / (dw < tiny ? tiny : dw);
  }

  void one_row(index_t r, index_t c0, index_t c1) const noexcept {
    if (forward) {
      c1 = c1 < r ? c1 : r;
    } else {
      c0 = c0 > r ? c0 : r;
    }
    double least = infinity;
    index_t best = c0;
    index_t c = c0;
    if constexpr (!std::is_same_v<Level, simd::portable>) {
      using batch = simd::batch<double, Level>;
      constexpr auto lanes = static_cast<index_t>(batch::size);
      std::array<double, batch::size> first{};
      for (std::size_t i = 0; i < batch::size; ++i) first[i] = static_cast<double>(i);
      const batch w(w_[r]), s(s_[r]), small(tiny), step(static_cast<double>(lanes)), far(infinity);
      const batch last(static_cast<double>(c1));
      batch at = batch::load_unaligned(first.data()) + batch(static_cast<double>(c0));
      batch low(far), arg(static_cast<double>(c0));
      for (; c <= c1; c += lanes) {
        const batch wc = batch::load_unaligned(w_ + c);
        const batch dw = forward ? w - wc : wc - w;
        const batch ds = s - batch::load_unaligned(s_ + c);
        const batch v = batch::load_unaligned(base_ + c) - ds * ds / select(dw < small, small, dw);
        const auto better = (v < low) & (at <= last);  // dw >= 0 by the choice of c0 and c1
        low = select(better, v, low);
        arg = select(better, at, arg);
        at = at + step;
      }
      least = reduce_min(low);
      best = static_cast<index_t>(reduce_min(select(low == batch(least), arg, far)));
    }
    for (; c <= c1; ++c) {
      const double v = value(w_[r], s_[r], c);
      if (v < least) {
        least = v;
        best = c;
      }
    }
    least_[r] = least;
    best_[r] = static_cast<std::uint32_t>(best);
  }

  void eight_rows(index_t r0, index_t r1, index_t c0, index_t c1,
                  const double* own) const noexcept {
    std::array<double, 8> low{}, arg{};
    if constexpr (std::is_same_v<Level, simd::portable>) {
      low.fill(infinity);
      arg.fill(static_cast<double>(c0));
      for (index_t c = c0; c <= c1; ++c) {
        for (std::size_t i = 0; i < 8; ++i) {
          const index_t r = r0 + static_cast<index_t>(i);
          const double v = value(w_[r], s_[r], c);
          arg[i] = v < low[i] ? static_cast<double>(c) : arg[i];
          low[i] = v < low[i] ? v : low[i];
        }
      }
    } else {
      using batch = simd::batch<double, Level>;
      constexpr std::size_t parts = 8 / batch::size;
      const batch zero(0.0), small(tiny), far(infinity);
      std::array<batch, parts> w, s, lows, args;
      for (std::size_t p = 0; p < parts; ++p) {
        w[p] = batch::load_unaligned(w_ + r0 + static_cast<index_t>(p * batch::size));
        s[p] = batch::load_unaligned(s_ + r0 + static_cast<index_t>(p * batch::size));
        lows[p] = far;
        args[p] = batch(static_cast<double>(c0));
      }
      for (index_t c = c0; c <= c1; ++c) {
        const batch wc(w_[c]), sc(s_[c]), base(base_[c]), at(static_cast<double>(c));
        for (std::size_t p = 0; p < parts; ++p) {
          const batch dw = forward ? w[p] - wc : wc - w[p];
          const batch ds = s[p] - sc;
          const batch v = base - ds * ds / select(dw < small, small, dw);
          const auto better = (dw >= zero) & (v < lows[p]);
          lows[p] = select(better, v, lows[p]);
          args[p] = select(better, at, args[p]);
        }
      }
      for (std::size_t p = 0; p < parts; ++p) {
        lows[p].store_unaligned(low.data() + p * batch::size);
        args[p].store_unaligned(arg.data() + p * batch::size);
      }
    }
    for (std::size_t i = 0; i < 8 && r0 + static_cast<index_t>(i) < r1; ++i) {
      const index_t r = r0 + static_cast<index_t>(i);
      least_[r] = low[i] + own[r];
      best_[r] = static_cast<std::uint32_t>(arg[i]);
    }
  }

  const double* w_;
  const double* s_;
  const double* base_;
  double* least_;
  std::uint32_t* best_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
