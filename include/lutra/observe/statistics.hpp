// lutra: statistics.hpp - observer "statistics": range, mean, variance and counts of every unit.
// SPDX-License-Identifier: Apache-2.0
//
// Everything moments.hpp keeps, per tensor, channel or block, in one read.
// Merging is exact, associative and commutative. One thread at a time (one object per thread,
// then merge); const members may be shared.
#pragma once

#include <lutra/observe/moments.hpp>
#include <lutra/observe/range_input.hpp>
#include <lutra/observe/unit_pieces.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

class statistics {
 public:
  explicit statistics(const quantization_spec& spec = {}) : input_(spec) {}

  void observe(tensor_view<const float> x) { observe_at<simd::native>(x); }
  template <class Level> void observe_at(tensor_view<const float> x) {
    const block_grid units = input_.units_of(x.extents());
    if (x.empty()) return;
    unit_.resize(to_size(units.count()));
    const std::int64_t before = count_nonfinite();
    for_each_unit_piece(x, units, [&](const float* piece, index_t n, index_t u) {
      add_moments<Level>(piece, n, unit_[to_size(u)]);
    });
    input_.count(units, count_nonfinite() - before);
  }
  void merge(const statistics& other) {
    input_.check_same(other.input_, "statistics::merge");
    input_.add(other.input_);
    if (unit_.size() < other.unit_.size()) unit_.resize(other.unit_.size());
    for (std::size_t u = 0; u < other.unit_.size(); ++u) unit_[u].merge(other.unit_[u]);
  }
  void reset() {
    input_.reset();
    unit_.clear();
  }
  index_t units() const noexcept { return input_.units(); }
  const seen_units& seen() const noexcept { return input_.seen(); }
  void learn(const seen_units& units) noexcept { input_.learn(units); }
  std::int64_t samples() const noexcept { return input_.samples(); }
  std::int64_t nonfinite() const noexcept { return input_.nonfinite(); }
  // u is in [0, units()).
  const moments& unit(index_t u) const noexcept { return unit_[to_size(u)]; }
  void range(std::span<float> lo, std::span<float> hi) const {
    input_.check_room(lo, hi);
    for (std::size_t u = 0; u < unit_.size(); ++u) {
      lo[u] = input_.low_end(unit_[u].min);
      hi[u] = input_.high_end(unit_[u].max);
    }
  }
  void save(state_writer& w) const {
    input_.save(w);
    w.u32(state_version);
    for (const moments& m : unit_) {
      w.f32(m.min);
      w.f32(m.max);
      m.sum.save(w);
      m.sum_of_squares.save(w);
      w.i64(m.finite);
      w.i64(m.nan);
      w.i64(m.infinite);
    }
  }
  void load(state_reader& r) {
    range_input input = input_;
    input.load(r);
    r.version(state_version);
    if (to_size(input.units()) > r.left() / unit_bytes) {
      r.corrupt("more units than bytes", text_of(input.units()), text_of(r.left() / unit_bytes));
    }
    std::vector<moments> units(to_size(input.units()));
    std::int64_t samples = 0;
    std::int64_t nonfinite = 0;
    for (moments& m : units) {
      m.min = r.f32();
      m.max = r.f32();
      m.sum.load(r);
      m.sum_of_squares.load(r);
      m.finite = r.i64();
      m.nan = r.i64();
      m.infinite = r.i64();
      check_unit(m, input.samples() - samples, r);
      samples += m.finite + m.nan + m.infinite;
      nonfinite += m.nan + m.infinite;
    }
    if (!input.counted(samples, nonfinite)) {
      r.corrupt("counts of the units do not add up", text_of(samples), text_of(input.samples()));
    }
    unit_ = std::move(units);
    input_ = input;
  }

 private:
  static constexpr std::uint32_t state_version = 1;
  static constexpr std::size_t unit_bytes = 2 * 4 + 8 * (6 + 10 + 3);

  std::int64_t count_nonfinite() const noexcept {
    std::int64_t n = 0;
    for (const moments& m : unit_) n += m.nan + m.infinite;
    return n;
  }
  static void check_unit(const moments& m, std::int64_t samples, const state_reader& r) {
    std::int64_t left = samples;
    for (const std::int64_t n : {m.finite, m.nan, m.infinite}) {
      if (n < 0 || n > left) {
        r.corrupt("counts of the units do not add up", text_of(n),
                  range_text<std::int64_t>(0, left));
      }
      left -= n;
    }
    const moments none;
    const bool ordered = m.finite == 0 ? m == moments{.nan = m.nan, .infinite = m.infinite}
                                       : m.min <= m.max && m.min > none.max && m.max < none.min;
    if (!ordered) r.corrupt("range of a unit", range_text(m.min, m.max), "finite, min <= max");
    const double n = static_cast<double>(m.finite);
    const double largest = static_cast<double>(m.abs_max());
    const double sum = m.sum.value();
    const double squares = m.sum_of_squares.value();
    const double slack = 1e-9 * n * largest;
    if (!(sum >= static_cast<double>(m.min) * n - slack || m.finite == 0) ||
        !(sum <= static_cast<double>(m.max) * n + slack || m.finite == 0) ||
        !(squares >= 0.0 && squares <= n * largest * largest * (1.0 + 1e-9))) {
      r.corrupt("sums of a unit contradict its range", text_of(sum) + ", " + text_of(squares),
                text_of(m.finite) + " elements in " + range_text(m.min, m.max));
    }
  }

  range_input input_;
  std::vector<moments> unit_;
};
static_assert(mergeable_observer<statistics>);

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
