// lutra: finite_only.hpp - an observer that refuses NaN and infinities instead of leaving them out.
// SPDX-License-Identifier: Apache-2.0
//
// Observers count what is not finite and go on (nonfinite()); where one such element means that something is broken,
// wrap them. For configs that name observers:
//   register_observer("strict", [](const quantization_spec& s) { return any_observer(finite_only<moving_average>(s)); });
// One read of the data more. One thread at a time; const members may be shared.
#pragma once

#include <lutra/affine/spec.hpp>
#include <lutra/observe/observer.hpp>
#include <lutra/tensor/check_finite.hpp>

namespace lutra::inline LUTRA_ABI {

template <observer O> class finite_only {
 public:
  explicit finite_only(const quantization_spec& spec) : observer_(spec) {}

  // Raises non_finite, naming the first position (row-major) and the count; nothing was observed then.
  void observe(tensor_view<const float> x) {
    check_finite(x, "finite_only::observe");
    observer_.observe(x);
  }
  void merge(const finite_only& other) requires mergeable_observer<O> {
    observer_.merge(other.observer_);
  }
  void append(const finite_only& later) requires appendable_observer<O> {
    observer_.append(later.observer_);
  }
  void reset() { observer_.reset(); }
  index_t units() const { return observer_.units(); }
  const seen_units& seen() const requires placed_observer<O> { return observer_.seen(); }
  void learn(const seen_units& units) requires placed_observer<O> { observer_.learn(units); }
  std::int64_t samples() const { return observer_.samples(); }
  std::int64_t nonfinite() const { return observer_.nonfinite(); }  // 0
  void range(std::span<float> lo, std::span<float> hi) const { observer_.range(lo, hi); }
  void save(state_writer& w) const { observer_.save(w); }
  void load(state_reader& r) { observer_.load(r); }
  index_t state_bytes() const requires bounded_observer<O> { return observer_.state_bytes(); }
  bool within(float bound) const requires bounded_observer<O> { return observer_.within(bound); }
  const O& statistics() const noexcept { return observer_; }

 private:
  O observer_;
};

}  // namespace lutra::inline LUTRA_ABI
