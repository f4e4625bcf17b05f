// lutra: exact_sum.hpp - a sum of doubles without rounding, so the order of adding does not matter.
// SPDX-License-Identifier: Apache-2.0
//
// A two's complement fixed-point number of Limbs * 64 bits whose lowest bit is worth 2^LowExponent.
// Adding is integer arithmetic: associative, commutative, the same bits everywhere, untouched by
// flush-to-zero modes. Exact as long as every term is a multiple of 2^LowExponent and the sum stays
// below 2^(64 * Limbs + LowExponent - 1). Value type. O(Limbs) per term.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <lutra/observe/state.hpp>

namespace lutra::inline LUTRA_ABI {

template <int LowExponent, int Limbs> class exact_sum {
  using limbs = std::array<std::uint64_t, to_size(Limbs)>;

 public:
  // x is finite and a multiple of 2^LowExponent.
  void add(double x) noexcept {
    const auto bits = std::bit_cast<std::uint64_t>(x);
    const auto exponent = static_cast<int>((bits >> 52) & 0x7FFU);
    std::uint64_t significand = bits & 0xFFFFFFFFFFFFFU;
    if (exponent != 0) significand |= std::uint64_t{1} << 52;
    if (significand == 0) return;
    int position = (exponent != 0 ? exponent : 1) - 1075 - LowExponent;
    if (position < 0) {  // the bits below are zero by the precondition
      significand = -position < 64 ? significand >> -position : 0;
      position = 0;
    }
    const auto limb = to_size(position / 64);
    const int shift = position % 64;
    const std::uint64_t low = significand << shift;
    const std::uint64_t high = shift == 0 ? 0 : significand >> (64 - shift);
    (bits >> 63) != 0 ? subtract_at(limb, low, high) : add_at(limb, low, high);
  }
  void add(const exact_sum& other) noexcept {
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < limbs_.size(); ++i)
      limbs_[i] = plus(limbs_[i], other.limbs_[i], carry);
  }
  // The nearest double, ties to even.
  double value() const noexcept {
    limbs m = limbs_;
    const bool negative = (m.back() >> 63) != 0;
    if (negative) {
      std::uint64_t carry = 1;
      for (std::uint64_t& limb : m) limb = plus(~limb, 0, carry);
    }
    int top = Limbs - 1;
    while (top >= 0 && m[to_size(top)] == 0) --top;
    if (top < 0) return 0.0;
    const int width = 64 * top + 64 - std::countl_zero(m[to_size(top)]);
    const int drop = width - 53;  // bits that do not fit a double
    std::uint64_t significand = drop > 0 ? bits_from(m, drop) : m[0];
    if (drop > 0) {
      const bool half = (bits_from(m, drop - 1) & 1U) != 0;
      if (half && ((significand & 1U) != 0 || any_below(m, drop - 1))) ++significand;
    }
    // significand * 2^(LowExponent + max(drop, 0)): an exact product, far from the subnormals.
    const int exponent = LowExponent + (drop > 0 ? drop : 0);
    const auto scale = static_cast<std::uint64_t>(exponent + 1023) << 52;
    const double magnitude = static_cast<double>(significand) * std::bit_cast<double>(scale);
    return negative ? -magnitude : magnitude;
  }

  void save(state_writer& w) const {
    for (const std::uint64_t limb : limbs_) w.u64(limb);
  }
  void load(state_reader& r) {
    for (std::uint64_t& limb : limbs_) limb = r.u64();
  }
  friend bool operator==(const exact_sum&, const exact_sum&) = default;

 private:
  static_assert(Limbs >= 2 && LowExponent > -1000 && 64 * Limbs + LowExponent < 1000);

  static std::uint64_t plus(std::uint64_t a, std::uint64_t b, std::uint64_t& carry) noexcept {
    const std::uint64_t partial = a + b;
    const std::uint64_t sum = partial + carry;
    carry = (partial < a ? 1U : 0U) + (sum < partial ? 1U : 0U);
    return sum;
  }
  void add_at(std::size_t limb, std::uint64_t low, std::uint64_t high) noexcept {
    std::uint64_t carry = 0;
    limbs_[limb] = plus(limbs_[limb], low, carry);
    for (std::size_t i = limb + 1; i < limbs_.size() && (high | carry) != 0; ++i, high = 0) {
      limbs_[i] = plus(limbs_[i], high, carry);
    }
  }
  void subtract_at(std::size_t limb, std::uint64_t low, std::uint64_t high) noexcept {
    std::uint64_t borrow = limbs_[limb] < low ? 1U : 0U;
    limbs_[limb] -= low;
    for (std::size_t i = limb + 1; i < limbs_.size() && (high | borrow) != 0; ++i, high = 0) {
      const std::uint64_t take = high + borrow;  // high is far below 2^64 - 1
      borrow = limbs_[i] < take ? 1U : 0U;
      limbs_[i] -= take;
    }
  }
  // Bits [from, from + 64) of m.
  static std::uint64_t bits_from(const limbs& m, int from) noexcept {
    const auto limb = to_size(from / 64);
    const int shift = from % 64;
    const std::uint64_t low = m[limb] >> shift;
    return shift == 0 || limb + 1 == m.size() ? low : low | m[limb + 1] << (64 - shift);
  }
  static bool any_below(const limbs& m, int end) noexcept {
    for (int i = 0; i < end / 64; ++i) {
      if (m[to_size(i)] != 0) return true;
    }
    return end % 64 != 0 && m[to_size(end / 64)] << (64 - end % 64) != 0;
  }

  limbs limbs_{};
};

// Of floats, in partial sums of up to 2^14 terms, and of their squares.
using float_sum = exact_sum<-149, 6>;
using square_sum = exact_sum<-298, 10>;

}  // namespace lutra::inline LUTRA_ABI
