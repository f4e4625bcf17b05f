// lutra: global_min_max.hpp - observer "global_minmax": smallest and largest of everything seen.
// SPDX-License-Identifier: Apache-2.0
//
// Never contracts. Merging is exact, associative and commutative: distributed calibration is an
// all-reduce. One thread at a time; const members may be shared.
#pragma once

#include <lutra/observe/range_input.hpp>

namespace lutra::inline LUTRA_ABI {

class global_min_max {
 public:
  explicit global_min_max(const quantization_spec& spec) : input_(spec) {}

  void observe(tensor_view<const float> x) {
    const block_grid units = input_.units_of(x.extents());
    if (x.empty()) return;
    const unit_ranges r = input_.read(x, units);
    input_.count(units, r.nonfinite);
    widen(r);
  }
  void merge(const global_min_max& other) {
    input_.check_same(other.input_, "global_min_max::merge");
    input_.add(other.input_);
    if (other.units() != 0) widen(other.all_);
  }
  void append(const global_min_max& later) { merge(later); }
  void reset() {
    input_.reset();
    all_ = {};
  }
  index_t units() const noexcept { return input_.units(); }
  const seen_units& seen() const noexcept { return input_.seen(); }
  void learn(const seen_units& units) noexcept { input_.learn(units); }
  std::int64_t samples() const noexcept { return input_.samples(); }
  std::int64_t nonfinite() const noexcept { return input_.nonfinite(); }
  void range(std::span<float> lo, std::span<float> hi) const {
    input_.check_room(lo, hi);
    for (std::size_t u = 0; u < all_.lo.size(); ++u) {
      lo[u] = input_.low_end(all_.lo[u]);
      hi[u] = input_.high_end(all_.hi[u]);
    }
  }
  void save(state_writer& w) const {
    input_.save(w);
    w.f32s(all_.lo);
    w.f32s(all_.hi);
  }
  void load(state_reader& r) {
    range_input input = input_;
    input.load(r);
    all_ = load_ranges(r, input.units());
    input_ = input;
  }

 private:
  // Zero is always inside, so a unit that saw nothing finite is [0, 0] and changes nothing here.
  void widen(const unit_ranges& r) {
    all_.lo.resize(r.lo.size());
    all_.hi.resize(r.hi.size());
    for (std::size_t u = 0; u < r.lo.size(); ++u) {
      if (r.lo[u] > r.hi[u]) continue;
      all_.lo[u] = std::min(all_.lo[u], r.lo[u]);
      all_.hi[u] = std::max(all_.hi[u], r.hi[u]);
    }
  }
  range_input input_;
  unit_ranges all_;
};
static_assert(mergeable_observer<global_min_max>);

}  // namespace lutra::inline LUTRA_ABI
