// lutra: assign_wide.hpp - the nearest table entry of doubles.
// SPDX-License-Identifier: Apache-2.0
//
// As assign.hpp, for values that are no floats: quotients by a row scale, or doubles. code = number of midpoints
// below the value; the same on every ISA. The table is that of floats, midpoints are doubles.
// Cost: up to 16 entries about 1 ns per value, more about 3 ns, 6 ns beside outliers.
#pragma once

#include <lutra/cluster/exact_1d.hpp>
#include <lutra/simd/arch.hpp>
#include <type_traits>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Gives values codes by an ascending table of 1..256 entries. Immutable after construction: may be shared.
class nearest_wide {
 public:
  static constexpr std::size_t block = 512;  // values at a time

  // `values`: how many there will be, about.
  nearest_wide(std::span<const float> table, std::size_t values)
      : mids_(midpoints_of(std::vector<double>(table.begin(), table.end()))) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (mids_.size() <= 16) return;
    // Many entries: a first guess for each of equal stretches between the ends.
    stretches_ = values >= 16384 ? 4096 : 1024;
    last_ = static_cast<double>(stretches_ - 1);
    origin_ = mids_.front();
    per_unit_ = last_ / (mids_.back() - origin_);
    if (!(per_unit_ < infinity)) per_unit_ = 0;
    guess_.resize(stretches_);
    std::size_t code = 0;
    for (std::size_t g = 0; g < stretches_; ++g) {
      const auto here = static_cast<std::int32_t>(g);
      while (code < mids_.size() && stretch(mids_[code]) < here) ++code;
      guess_[g] = static_cast<std::uint8_t>(code);
      int inside = 0;
      for (std::size_t c = code; c < mids_.size() && stretch(mids_[c]) == here; ++c) ++inside;
      steps_ = std::max(steps_, inside);
    }
    if (steps_ > most_steps) guess_.clear();  // beside an outlier nearly all lie in one stretch
    mids_.resize(guess_.empty() ? 256 : mids_.size() + 1, infinity);
  }

  // Codes of at most `block` values, none of them NaN.
  template <class Level = simd::native>
  void codes(std::span<const double> x, std::uint8_t* out) const noexcept {
    if (mids_.size() <= 16) {
      few_entries<Level>(x, out);
    } else if (guess_.empty()) {
      bisect(x, out);
    } else {
      many_entries(x, out);
    }
  }

 private:
  static constexpr int most_steps = 8;  // more take longer than bisection

  std::int32_t stretch(double x) const noexcept {
    const double s = (x - origin_) * per_unit_;
    return static_cast<std::int32_t>(s > 0 ? (s < last_ ? s : last_) : 0);
  }
  template <class Level>
  void few_entries(std::span<const double> x, std::uint8_t* out) const noexcept {
    std::size_t i = 0;
    if constexpr (!std::is_same_v<Level, simd::portable>) {
      using batch = simd::batch<double, Level>;
      std::array<double, block> code;
      for (; i + batch::size <= x.size(); i += batch::size) {
        const batch v = batch::load_unaligned(x.data() + i);
        batch below(0.0);
        for (const double mid : mids_) {
          below = select(v > batch(mid), below + batch(1.0), below);
        }
        below.store_unaligned(code.data() + i);
      }
      for (std::size_t j = 0; j < i; ++j) out[j] = static_cast<std::uint8_t>(code[j]);
    }
    for (; i < x.size(); ++i) {
      int code = 0;
      for (const double mid : mids_) code += x[i] > mid ? 1 : 0;
      out[i] = static_cast<std::uint8_t>(code);
    }
  }
  void many_entries(std::span<const double> x, std::uint8_t* out) const noexcept {
    std::array<std::int32_t, block> at;
    for (std::size_t i = 0; i < x.size(); ++i) at[i] = stretch(x[i]);
    const double* const mid = mids_.data();
    for (std::size_t i = 0; i < x.size(); ++i) {
      std::size_t code = guess_[to_size(at[i])];
      for (int step = 0; step < steps_; ++step) code += x[i] > mid[code] ? 1U : 0U;
      out[i] = static_cast<std::uint8_t>(code);
    }
  }

  // Whatever the midpoints: eight halves of 256.
  void bisect(std::span<const double> x, std::uint8_t* out) const noexcept {
    std::array<std::uint32_t, block> code{};
    for (std::uint32_t half = 128; half > 0; half /= 2) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        code[i] += x[i] > mids_[code[i] + half - 1] ? half : 0U;
      }
    }
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = static_cast<std::uint8_t>(code[i]);
  }

  std::vector<double> mids_;
  std::vector<std::uint8_t> guess_;  // empty for up to 17 entries, and where midpoints are bisected
  std::size_t stretches_ = 0;
  double origin_ = 0, per_unit_ = 0, last_ = 0;
  int steps_ = 0;  // most midpoints in one stretch
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
