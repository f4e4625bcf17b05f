// lutra: double_double.hpp - sums and products with about 106 bits, for the few places that need it.
// SPDX-License-Identifier: Apache-2.0
//
// A value is the unevaluated sum hi + lo with |lo| <= ulp(hi) / 2 (Dekker 1971, Knuth). Built from
// plain additions and multiplications only, so results do not depend on whether the machine has a
// fused multiply-add. Exact products need |hi| < 2^996.
#pragma once

#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct double_double {
  double hi = 0;
  double lo = 0;
};

// a + b exactly.
inline double_double two_sum(double a, double b) noexcept {
  const double s = a + b;
  const double v = s - a;
  return {s, (a - (s - v)) + (b - v)};
}

// a * b exactly.
inline double_double exact_product(double a, double b) noexcept {
  const double p = a * b;
  const double ca = 134217729.0 * a;  // 2^27 + 1 splits the significand in halves
  const double cb = 134217729.0 * b;
  const double ah = ca - (ca - a);
  const double bh = cb - (cb - b);
  const double al = a - ah;
  const double bl = b - bh;
  return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

[[gnu::always_inline]] inline double_double operator+(double_double a, double_double b) noexcept {
  const double_double s = two_sum(a.hi, b.hi);
  const double_double t = two_sum(a.lo, b.lo);
  const double_double u = two_sum(s.hi, s.lo + t.hi);
  return two_sum(u.hi, u.lo + t.lo);
}
inline double_double operator-(double_double a) noexcept { return {-a.hi, -a.lo}; }
inline double_double operator-(double_double a, double_double b) noexcept { return a + (-b); }

inline double_double operator*(double_double a, double_double b) noexcept {
  const double_double p = exact_product(a.hi, b.hi);
  return two_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

inline double_double operator/(double_double a, double_double b) noexcept {
  const double first = a.hi / b.hi;
  const double_double rest = a - double_double{first, 0} * b;
  const double second = rest.hi / b.hi;
  const double_double left = rest - double_double{second, 0} * b;
  return double_double{first, 0} + two_sum(second, left.hi / b.hi);
}

// Running sum of doubles, accurate to about one unit in the 106th bit.
class compensated_sum {
 public:
  void add(double x) noexcept {
    const double_double s = two_sum(sum_.hi, x);
    sum_ = two_sum(s.hi, s.lo + sum_.lo);
  }
  void add(double_double x) noexcept { sum_ = sum_ + x; }
  double_double pair() const noexcept { return sum_; }
  double value() const noexcept { return sum_.hi + sum_.lo; }

 private:
  double_double sum_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
