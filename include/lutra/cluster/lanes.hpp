// lutra: lanes.hpp - eight doubles side by side, for the inner loop of the dynamic programme.
// SPDX-License-Identifier: Apache-2.0
//
// Eight on every level, whatever the register width: the search order, and with it the result in
// near-ties, then does not depend on the instruction set. All operations are IEEE double, lane by
// lane.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>
#include <lutra/simd/arch.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

inline constexpr std::size_t lanes8 = 8;

// What double8 is made of: registers of the level, or plain doubles.
template <class A> struct double_register {
  using type = double;
  static constexpr std::size_t size = 1;
  static double load(const double* p) noexcept { return *p; }
  static void store(double* p, double x) noexcept { *p = x; }
  static bool less(double a, double b) noexcept { return a < b; }
  static double select(bool c, double a, double b) noexcept { return c ? a : b; }
};
#if !LUTRA_PORTABLE
template <class A>
requires requires { typename simd::xsimd_arch<A>::type; }
struct double_register<A> {
  using type = simd::batch<double, A>;
  static constexpr std::size_t size = type::size;
  static type load(const double* p) noexcept { return type::load_unaligned(p); }
  static void store(double* p, const type& x) noexcept { x.store_unaligned(p); }
  static auto less(const type& a, const type& b) noexcept { return a < b; }
  template <class M> static type select(const M& c, const type& a, const type& b) noexcept {
    return xsimd::select(c, a, b);
  }
};
#endif

template <class A> struct double8 {
  using reg = double_register<A>;
  static constexpr std::size_t parts = lanes8 / reg::size;
  std::array<typename reg::type, parts> part;

  static double8 load(const double* p) noexcept {
    double8 x;
    for (std::size_t i = 0; i < parts; ++i) x.part[i] = reg::load(p + i * reg::size);
    return x;
  }
  static double8 filled(double value) noexcept {
    double8 x;
    for (auto& p : x.part) p = typename reg::type(value);
    return x;
  }
  void store(double* p) const noexcept {
    for (std::size_t i = 0; i < parts; ++i) reg::store(p + i * reg::size, part[i]);
  }
  std::array<double, lanes8> values() const noexcept {
    std::array<double, lanes8> out;
    store(out.data());
    return out;
  }
  friend double8 operator+(const double8& a, const double8& b) noexcept {
    double8 x;
    for (std::size_t i = 0; i < parts; ++i) x.part[i] = a.part[i] + b.part[i];
    return x;
  }
  friend double8 operator-(const double8& a, const double8& b) noexcept {
    double8 x;
    for (std::size_t i = 0; i < parts; ++i) x.part[i] = a.part[i] - b.part[i];
    return x;
  }
};

// max(0, q - s*s/w) lane by lane; 0 for NaN.
template <class A>
double8<A> interval_cost(const double8<A>& w, const double8<A>& s, const double8<A>& q) noexcept {
  using reg = double_register<A>;
  const typename reg::type zero(0.0);
  double8<A> x;
  for (std::size_t i = 0; i < double8<A>::parts; ++i) {
    const typename reg::type square = s.part[i] * s.part[i];
    const typename reg::type cost = q.part[i] - square / w.part[i];
    x.part[i] = reg::select(reg::less(zero, cost), cost, zero);
  }
  return x;
}

// The least value seen per lane, and the column it was seen at (the first one on a tie). Columns are
// held as doubles, exact up to 2^53.
template <class A> class running_minimum8 {
 public:
  explicit running_minimum8(std::size_t column) noexcept
      : least_(double8<A>::filled(std::numeric_limits<double>::infinity())),
        column_(double8<A>::filled(static_cast<double>(column))) {}
  void take(const double8<A>& value, const double8<A>& column) noexcept {
    using reg = double_register<A>;
    for (std::size_t i = 0; i < double8<A>::parts; ++i) {
      const auto better = reg::less(value.part[i], least_.part[i]);
      least_.part[i] = reg::select(better, value.part[i], least_.part[i]);
      column_.part[i] = reg::select(better, column.part[i], column_.part[i]);
    }
  }
  std::array<double, lanes8> least() const noexcept { return least_.values(); }
  std::array<double, lanes8> column() const noexcept { return column_.values(); }

 private:
  double8<A> least_, column_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
