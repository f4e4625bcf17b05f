// lutra: static_range.hpp - observer "static": the range of the last tensor (weights).
// SPDX-License-Identifier: Apache-2.0
//
// Merging joins the shards of one tensor. One thread at a time; const members may be shared.
#pragma once

#include <lutra/observe/range_input.hpp>

namespace lutra::inline LUTRA_ABI {

class static_range {
 public:
  explicit static_range(const quantization_spec& spec) : input_(spec) {}

  void observe(tensor_view<const float> x) {
    const block_grid units = input_.units_of(x.extents());
    if (x.empty()) return;
    unit_ranges r = input_.read(x, units);
    input_.count(units, r.nonfinite);
    last_ = std::move(r);
    for (std::size_t u = 0; u < last_.lo.size(); ++u) {
      if (last_.lo[u] > last_.hi[u]) last_.lo[u] = last_.hi[u] = 0;  // nothing finite in this unit
    }
  }
  // The parts in order: the last one that saw anything counts.
  void append(const static_range& later) {
    input_.check_same(later.input_, "static_range::append");
    input_.add(later.input_);
    if (later.units() != 0) last_ = later.last_;
  }
  // The parts of one tensor in any order: together they span the range of the whole. Exact.
  void merge(const static_range& other) {
    input_.check_same(other.input_, "static_range::merge");
    input_.add(other.input_);
    if (last_.lo.empty()) {
      last_ = other.last_;
      return;
    }
    for (std::size_t u = 0; u < other.last_.lo.size(); ++u) {
      last_.lo[u] = std::min(last_.lo[u], other.last_.lo[u]);
      last_.hi[u] = std::max(last_.hi[u], other.last_.hi[u]);
    }
  }
  void reset() {
    input_.reset();
    last_ = {};
  }
  index_t units() const noexcept { return input_.units(); }
  const seen_units& seen() const noexcept { return input_.seen(); }
  void learn(const seen_units& units) noexcept { input_.learn(units); }
  std::int64_t samples() const noexcept { return input_.samples(); }
  std::int64_t nonfinite() const noexcept { return input_.nonfinite(); }
  void range(std::span<float> lo, std::span<float> hi) const {
    input_.check_room(lo, hi);
    for (std::size_t u = 0; u < last_.lo.size(); ++u) {
      lo[u] = input_.low_end(last_.lo[u]);
      hi[u] = input_.high_end(last_.hi[u]);
    }
  }
  void save(state_writer& w) const {
    input_.save(w);
    w.f32s(last_.lo);
    w.f32s(last_.hi);
  }
  void load(state_reader& r) {
    range_input input = input_;
    input.load(r);
    last_ = load_ranges(r, input.units());
    input_ = input;
  }

 private:
  range_input input_;
  unit_ranges last_;
};
static_assert(appendable_observer<static_range> && mergeable_observer<static_range>);

}  // namespace lutra::inline LUTRA_ABI
