// lutra: moving_average.hpp - observer "moving_average": exponential average of the batches' ranges.
// SPDX-License-Identifier: Apache-2.0
//
// First batch: copied. Later: r = c * new + (1 - c) * r for both ends, c the averaging constant. As
// "moving_average_count_aware" the sum starts at 0 and is divided by the weights so far, 1 - (1 - c)^batches:
// the first batch then weighs what the others do, instead of (1 - c)^batches however poor it is. The
// state is double (in bfloat16, as the reference keeps it, c = 0.01 never moves it by 10 %), the range
// handed out is rounded to float. Depends on the order of batches, so it cannot be merged;
// append() continues it with a part observed elsewhere, equal to one run up to rounding in double.
// One thread at a time; const members may be shared.
#pragma once

#include <algorithm>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/observe/range_input.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Type of the running state. float32 and bfloat16 reproduce the reference on tensors of these types: it multiplies by c
// and by 1 - c, each a double rounded to float.
enum class running_type : unsigned char { float64, float32, bfloat16 };

enum class averaging : unsigned char { from_first, count_aware };

class moving_average {
 public:
  explicit moving_average(const quantization_spec& spec, running_type type = running_type::float64,
                          lutra::averaging averaging = lutra::averaging::from_first)
      : input_(spec),
        constant_(spec.averaging_constant),
        fresh_(weight(type, constant_)),
        kept_(weight(type, 1.0 - constant_)),
        type_(type),
        averaging_(averaging) {}

  void observe(tensor_view<const float> x) {
    const block_grid units = input_.units_of(x.extents());
    if (x.empty()) return;
    const unit_ranges r = input_.read(x, units);
    input_.count(units, r.nonfinite);
    state_.resize(r.lo.size());
    for (std::size_t u = 0; u < state_.size(); ++u) {
      if (r.lo[u] > r.hi[u]) continue;  // nothing finite: this batch says nothing about the unit
      unit& s = state_[u];
      const double lo = stored(static_cast<double>(r.lo[u]));
      const double hi = stored(static_cast<double>(r.hi[u]));
      s = s.batches == 0 && averaging_ == averaging::from_first
              ? unit{lo, hi, lo, hi, 0}
              : unit{average(lo, s.lo), average(hi, s.hi), s.first_lo, s.first_hi, s.batches};
      ++s.batches;
    }
  }
  // r = (1-c)^n * (r_here - first_later) + r_later, which is what n more batches would have given.
  void append(const moving_average& later) {
    input_.check_same(later.input_, "moving_average::append");
    if (constant_ != later.constant_ || type_ != later.type_ || averaging_ != later.averaging_) {
      raise(errc::incompatible, "averaging constants or kinds differ", "moving_average::append",
            text_of(later.constant_), text_of(constant_));
    }
    input_.add(later.input_);
    state_.resize(std::max(state_.size(), later.state_.size()));
    for (std::size_t u = 0; u < later.state_.size(); ++u) {
      unit& s = state_[u];
      const unit& l = later.state_[u];
      if (s.batches == 0 || l.batches == 0) {
        if (s.batches == 0) s = l;
        continue;
      }
      const double kept = power(kept_, l.batches);
      s.lo = stored(std::min(kept * (s.lo - l.first_lo) + l.lo, 0.0));
      s.hi = stored(std::max(kept * (s.hi - l.first_hi) + l.hi, 0.0));
      s.batches = std::min(s.batches + l.batches, largest_count);
    }
  }
  void reset() {
    input_.reset();
    state_.clear();
  }
  index_t units() const noexcept { return input_.units(); }
  const seen_units& seen() const noexcept { return input_.seen(); }
  void learn(const seen_units& units) noexcept { input_.learn(units); }
  std::int64_t samples() const noexcept { return input_.samples(); }
  std::int64_t nonfinite() const noexcept { return input_.nonfinite(); }
  void range(std::span<float> lo, std::span<float> hi) const {
    input_.check_room(lo, hi);
    for (std::size_t u = 0; u < state_.size(); ++u) {
      const unit& s = state_[u];
      if (s.batches == 0) {
        lo[u] = input_.low_end(0.0F);
        hi[u] = input_.high_end(0.0F);
        continue;
      }
      const bool whole = averaging_ == averaging::from_first;
      const double weights = whole ? 1.0 : weights_of(s.batches);
      lo[u] = static_cast<float>(std::max(s.lo / weights, -largest));
      hi[u] = static_cast<float>(std::min(s.hi / weights, largest));
    }
  }
  void save(state_writer& w) const {
    input_.save(w);
    w.u8(kind());
    w.u64(state_.size());
    for (const unit& s : state_) {
      for (const double v : {s.lo, s.hi, s.first_lo, s.first_hi}) w.f64(v);
      w.i64(s.batches);
    }
  }
  void load(state_reader& r) {
    range_input input = input_;
    input.load(r);
    if (const int other = r.u8(); other != kind()) {
      r.corrupt("type of the running state", text_of(other), text_of(static_cast<int>(kind())));
    }
    std::vector<unit> state(r.count(5 * 8));
    if (static_cast<index_t>(state.size()) != input.units()) {
      r.corrupt("number of ranges differs from the number of units", text_of(state.size()),
                text_of(input.units()));
    }
    for (unit& s : state) {
      for (double* v : {&s.lo, &s.hi, &s.first_lo, &s.first_hi}) *v = r.f64();
      s.batches = r.i64();
      if (!valid(s.lo, s.hi) || !valid(s.first_lo, s.first_hi)) {
        r.corrupt("range of a unit", range_text(s.lo, s.hi), "finite, lo <= 0 <= hi");
      }
      if (s.batches < 0 || s.batches > largest_count) {
        r.corrupt("number of batches", text_of(s.batches), "0 .. 2^62 - 1");
      }
    }
    input_ = input;
    state_ = std::move(state);
  }

 private:
  struct unit {
    double lo = 0, hi = 0;
    double first_lo = 0, first_hi = 0;  // of the first batch, for append()
    std::int64_t batches = 0;
  };
  static constexpr double largest = 0x1.fffffep127;  // of float
  std::uint8_t kind() const noexcept {
    return static_cast<std::uint8_t>(static_cast<int>(type_) +
                                     (averaging_ == averaging::count_aware ? 16 : 0));
  }
  static bool valid(double lo, double hi) {
    return lo <= 0.0 && lo >= -largest && hi >= 0.0 && hi <= largest;
  }
  // Rounded to the type, at most its largest finite value: what is rounded beyond it would be infinite.
  double stored(double x) const noexcept {
    const double most = type_ == running_type::bfloat16 ? 0x1.fep127 : largest;
    const double within = std::clamp(x, -most, most);
    if (type_ == running_type::float64) return within;
    const auto narrow = static_cast<float>(within);
    if (type_ == running_type::float32) return static_cast<double>(narrow);
    return static_cast<double>(static_cast<float>(bfloat16(narrow)));
  }
  static double weight(running_type type, double w) noexcept {
    return type == running_type::float64 ? w : static_cast<double>(static_cast<float>(w));
  }
  // Products rounded separately.
  double average(double fresh, double running) const noexcept {
    if (type_ == running_type::float64) return stored(fresh_ * fresh + kept_ * running);
    return stored(stored(fresh_ * fresh) + stored(kept_ * running));
  }
  // Of n batches together: c * (1 + kept + kept^2 + ..), summed, for 1 - kept^n would cancel where c is small.
  double weights_of(std::int64_t n) const noexcept {
    double kept = kept_, sum = 0, block = fresh_, after = 1;
    for (; n > 0; n >>= 1, block += block * kept, kept *= kept) {
      if ((n & 1) == 0) continue;
      sum += after * block;
      after *= kept;
    }
    return sum;
  }
  static double power(double x, std::int64_t n) noexcept {
    double p = 1;
    for (; n > 0; n >>= 1, x *= x) p = (n & 1) != 0 ? p * x : p;
    return p;
  }

  range_input input_;
  double constant_;
  double fresh_, kept_;  // what a batch and what was there before it is multiplied by
  running_type type_;
  lutra::averaging averaging_;
  std::vector<unit> state_;
};
static_assert(appendable_observer<moving_average> && !mergeable_observer<moving_average>);

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
