// lutra: refine_lut.hpp - an 8-bit table that is optimal as it is stored, not as it was before rounding.
// SPDX-License-Identifier: Apache-2.0
//
// Given scale and zero point, an 8-bit table can hold at most 256 levels, and the best 2^n_bits of them are
// found exactly (cluster/restricted_1d.hpp). Scale and zero point are searched: a coarse series of
// scales from just above the one that spans all values downwards, where large values are clipped; finer
// series around the best; each judged by the rounded float table after a few descent steps, and the
// best few by the exact choice. float_range and power-of-two scales fix the scale, or its mantissa.
//
// Numeric contract: multiplying the values by a power of two multiplies the scale by it (as long as it
// stays normal) and changes nothing else; the same bits on every ISA. Ties go to the candidate tried first.
// Cost: about 2 ms for 16 entries, 20 ms for 256, whatever the number of values on the line.
// Thread safety: one thread's scratch; the line must outlive it.
#pragma once

#include <array>
#include <cmath>
#include <lutra/cluster/restricted_1d.hpp>
#include <lutra/palette/lut_quantize.hpp>
#include <numeric>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

class lut_refiner {
 public:
  // `spec` has passed check(palettization_spec); `centroids` is the float table.
  lut_refiner(const line& l, std::span<const float> centroids, std::size_t entries,
              const quantization_spec& spec)
      : spec_(spec),
        centroids_(centroids),
        entries_(entries),
        bounds_(bounds_of(spec)),
        solver_(l) {
    const double first = l.origin + l.least(0);
    const double last = l.origin + l.largest(l.size() - 1);
    lo_ = std::min(0.0, first);
    hi_ = std::max(0.0, last);
  }

  // The best table found, entries ascending and distinct; `start`, the quantized float table, if nothing is
  // better.
  quantized_lut operator()(const quantized_lut& start) {
    best_ = {start.scale.scale, start.scale.zero_point, {}};
    for (std::size_t i = 0; i < start.codes.size(); ++i) {
      const std::size_t level = level_of(start.scale, start.codes[i]);
      if (best_.choice.levels.empty() || best_.choice.levels.back() != level) {
        best_.choice.levels.push_back(level);
      }
    }
    use_levels(best_);
    best_.choice.cost = solver_.cost(best_.choice.levels);
    if (lo_ < hi_) search();
    return as_lut();
  }

 private:
  struct trial {
    float scale = 1;
    std::int32_t zero_point = 0;
    restricted_choice choice;
  };
  bool integer() const noexcept { return is_integer(spec_.dtype); }

  void search() {
    const float start = best_.scale;
    const bool fixed = spec_.float_range.lo || spec_.float_range.hi;
    const bool power_of_two = scale_dtype_of(spec_) == dtype::float8_e8m0fnu;
    trials_.clear();
    if (fixed) {
      trials_.push_back(judged(start, best_.zero_point));
    } else if (power_of_two) {
      for (int e = 1; e >= -8; --e) judge(std::ldexp(start, e));
    } else {
      coarse_series();
      // Eighths of an octave are 9 % apart.
      for (const float scale : leaders(2)) fine_series(scale, 0x1p-7F, 12);
      for (const float scale : leaders(2)) fine_series(scale, 0x1p-10F, 7);
    }
    for (const trial& t : leading(power_of_two || !integer() ? 2 : 6)) choose_exactly(t);
    if (!fixed && !power_of_two) {
      const trial found = best_;
      for (int j = -3; j <= 3; ++j) {
        trial t = found;
        t.scale = found.scale * (1.0F + static_cast<float>(j) * 0x1p-9F);
        if (usable(t.scale)) choose_exactly(t);
      }
    }
    if (integer() && spec_.qscheme == qscheme::asymmetric && !fixed) shift_zero_point();
  }

  // Scales in steps of an eighth of an octave, from one that spans the values with room to spare.
  void coarse_series() {
    // 2^(-i/8); the last bits do not matter, but they must be the same everywhere.
    constexpr std::array<float, 8> eighth = {1.0F,        0.91700404F, 0.8408964F,  0.77110541F,
                                             0.70710678F, 0.64841978F, 0.59460356F, 0.54525387F};
    const float widest = widest_scale();
    judge(widest * 1.0905077F);
    for (int octave = 0; octave < 10; ++octave) {
      for (const float f : eighth) judge(std::ldexp(widest * f, -octave));
    }
  }
  void fine_series(float scale, float step, int count) {
    for (int j = -count; j <= count; ++j) {
      if (j != 0) judge(scale * (1.0F + static_cast<float>(j) * step));
    }
  }
  // The scale at which the levels span all values.
  float widest_scale() const noexcept {
    const double span = spec_.qscheme == qscheme::asymmetric && integer()
                            ? (hi_ - lo_) / static_cast<double>(bounds_.max - bounds_.min)
                            : std::max(hi_, -lo_) / static_cast<double>(bounds_.max);
    return static_cast<float>(span);
  }
  static bool usable(float scale) noexcept {
    return scale >= std::numeric_limits<float>::min() && scale <= 0x1p100F;
  }

  // Tries a scale with the zero points that reach to the lower end, to the upper end, and half way.
  void judge(float scale) {
    if (!usable(scale)) return;
    if (!integer() || spec_.qscheme != qscheme::asymmetric) {
      trials_.push_back(judged(scale, best_.zero_point));
      return;
    }
    const auto s = static_cast<double>(scale);
    const auto qmin = static_cast<double>(bounds_.min);
    const auto qmax = static_cast<double>(bounds_.max);
    const double at_lo = std::clamp(qmin - std::nearbyint(lo_ / s), qmin, qmax);
    const double at_hi = std::clamp(qmax - std::nearbyint(hi_ / s), qmin, qmax);
    const std::array<double, 3> points = {at_lo, at_hi, std::floor((at_lo + at_hi) * 0.5)};
    for (const double z : points) trials_.push_back(judged(scale, static_cast<std::int32_t>(z)));
  }
  // The float table rounded to the levels, after some descent steps.
  trial judged(float scale, std::int32_t zero_point) {
    trial t{scale, zero_point, {}};
    use_levels(t);
    if (entries_ >= solver_.size()) {
      t.choice.levels.resize(solver_.size());
      std::iota(t.choice.levels.begin(), t.choice.levels.end(), std::size_t{0});
      t.choice.cost = solver_.cost(t.choice.levels);
      return t;
    }
    for (const float c : centroids_) {
      const std::size_t level = solver_.nearest_to(static_cast<double>(c));
      if (t.choice.levels.empty() || t.choice.levels.back() < level)
        t.choice.levels.push_back(level);
    }
    t.choice.cost = solver_.cost(t.choice.levels);
    solver_.descend(t.choice, 3);
    return t;
  }
  void choose_exactly(trial t) {
    use_levels(t);
    t.choice = solver_.solve(entries_);
    if (t.choice.cost < best_.choice.cost) best_ = std::move(t);
  }
  void shift_zero_point() {
    const std::int32_t found = best_.zero_point;
    for (const int by : {1, -1, 2, -2, 4, -4, 8, -8}) {
      trial t{best_.scale, found + by, {}};
      const auto z = static_cast<float>(t.zero_point);
      if (z >= bounds_.min && z <= bounds_.max) choose_exactly(std::move(t));
    }
  }

  // The best trials, by cost.
  std::vector<trial> leading(std::size_t count) {
    std::stable_sort(trials_.begin(), trials_.end(),
                     [](const trial& a, const trial& b) { return a.choice.cost < b.choice.cost; });
    return {trials_.begin(),
            trials_.begin() + static_cast<std::ptrdiff_t>(std::min(count, trials_.size()))};
  }
  std::vector<float> leaders(std::size_t count) {
    std::vector<float> scales;
    for (const trial& t : leading(3 * count)) {
      if (scales.size() < count &&
          std::find(scales.begin(), scales.end(), t.scale) == scales.end()) {
        scales.push_back(t.scale);
      }
    }
    return scales;
  }

  // Levels of an 8-bit type under a scale and zero point, ascending; both zeros of a float type are one.
  void use_levels(const trial& t) {
    const auto s = static_cast<double>(t.scale);
    if (integer()) {
      const double first = static_cast<double>(bounds_.min) - static_cast<double>(t.zero_point);
      solver_.set_uniform(first * s, s, static_cast<std::size_t>(bounds_.max - bounds_.min) + 1);
      return;
    }
    levels_.clear();
    for (std::size_t i = 0; i < float_codes().size(); ++i) {
      levels_.push_back(static_cast<double>(lut_value({spec_.dtype, 1.0F, 0}, float_codes()[i])) *
                        s);
    }
    solver_.set_levels(levels_);
  }
  // Codes of a float type by ascending value.
  const std::vector<std::uint8_t>& float_codes() {
    if (!float_codes_.empty()) return float_codes_;
    const auto value = [this](int code) {
      return lut_value({spec_.dtype, 1.0F, 0}, static_cast<std::uint8_t>(code));
    };
    for (int code = 0xFF; code > 0x80; --code) {
      if (std::isfinite(value(code))) float_codes_.push_back(static_cast<std::uint8_t>(code));
    }
    for (int code = 0; code < 0x80; ++code) {
      if (std::isfinite(value(code))) float_codes_.push_back(static_cast<std::uint8_t>(code));
    }
    return float_codes_;
  }
  std::size_t level_of(const lut_scale& s, std::uint8_t code) {
    if (integer()) {
      const int q = s.lut_dtype == dtype::int8 ? static_cast<std::int8_t>(code) : code;
      return to_size(q - static_cast<int>(bounds_.min));
    }
    const std::uint8_t positive = code == 0x80 ? std::uint8_t{0} : code;
    return to_size(std::find(float_codes().begin(), float_codes().end(), positive) -
                   float_codes().begin());
  }
  quantized_lut as_lut() {
    quantized_lut q;
    q.scale = {spec_.dtype, best_.scale, best_.zero_point};
    for (const std::size_t level : best_.choice.levels) {
      q.codes.push_back(integer() ? static_cast<std::uint8_t>(static_cast<int>(level) +
                                                              static_cast<int>(bounds_.min))
                                  : float_codes()[level]);
    }
    return q;
  }

  const quantization_spec& spec_;
  std::span<const float> centroids_;
  std::size_t entries_;
  quant_bounds bounds_;
  restricted_solver solver_;
  double lo_ = 0, hi_ = 0;  // of the values and 0
  trial best_;
  std::vector<trial> trials_;
  std::vector<double> levels_;
  std::vector<std::uint8_t> float_codes_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
