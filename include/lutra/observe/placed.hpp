// lutra: placed.hpp - an observer that cannot say where its units lie, beside what it was told of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/observe/observer.hpp>
#include <utility>

namespace lutra::inline LUTRA_ABI {

// Else as the observer itself. What learn() was told is not saved, and forgotten by reset() and load().
template <observer O>
requires(!placed_observer<O>) class placed {
 public:
  explicit placed(O o) : observer_(std::move(o)) {}

  const seen_units& seen() const noexcept { return seen_; }
  void learn(const seen_units& units) noexcept { seen_.add(units); }

  void observe(tensor_view<const float> x) { observer_.observe(x); }
  void reset() {
    observer_.reset();
    seen_ = {};
  }
  index_t units() const { return observer_.units(); }
  std::int64_t samples() const { return observer_.samples(); }
  std::int64_t nonfinite() const { return observer_.nonfinite(); }
  void range(std::span<float> lo, std::span<float> hi) const { observer_.range(lo, hi); }
  void save(state_writer& w) const { observer_.save(w); }
  void load(state_reader& r) {
    observer_.load(r);
    seen_ = {};
  }
  void merge(const placed& other) requires mergeable_observer<O> {
    observer_.merge(other.observer_);
    seen_.add(other.seen_);
  }
  void append(const placed& later) requires appendable_observer<O> {
    observer_.append(later.observer_);
    seen_.add(later.seen_);
  }
  index_t state_bytes() const requires bounded_observer<O> { return observer_.state_bytes(); }
  bool within(float bound) const requires bounded_observer<O> { return observer_.within(bound); }

 private:
  O observer_;
  seen_units seen_;
};

}  // namespace lutra::inline LUTRA_ABI
