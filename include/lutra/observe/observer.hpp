// lutra: observer.hpp - what accumulates the range of a tensor over batches (the statistics policy).
// SPDX-License-Identifier: Apache-2.0
//
// An observer keeps one range per unit (elements that share a scale). Write your own as a plain class
// that meets the concept and is constructible from a quantization_spec; no base class. Deriving scale
// and zero point from the range is not its business (affine/qparams.hpp).
// Merging means: split the batches among machines, observe, merge; exact and in any order. An average
// depends on the order, so it offers append() (parts in order) instead and cannot be merged.
// Light: includes neither Eigen nor xsimd.
#pragma once

#include <concepts>
#include <cstdint>
#include <lutra/observe/seen_units.hpp>
#include <lutra/observe/state.hpp>
#include <lutra/tensor/view.hpp>
#include <span>

namespace lutra::inline LUTRA_ABI {

// clang-format off
template <class O>
concept observer = std::copyable<O> && requires(O& o, const O& c, tensor_view<const float> x,
                                                std::span<float> ends, state_writer& w, state_reader& r) {
  o.observe(x);                                       // errc::incompatible if blocks do not divide x
  o.reset();                                          // as constructed
  { c.units() } -> std::convertible_to<index_t>;      // 0 before the first element
  { c.samples() } -> std::convertible_to<std::int64_t>;    // elements seen
  { c.nonfinite() } -> std::convertible_to<std::int64_t>;  // of these, NaN or infinite: ignored
  c.range(ends, ends);                                // lo, hi: units() each, else errc::shape_mismatch; lo <= 0 <= hi,
                                                      // free ends of a unit without finite elements are 0
  c.save(w);
  o.load(r);                                          // strong guarantee
};

// merge(other) is associative, commutative and exact.
template <class O>
concept mergeable_observer = observer<O> && requires(O& o, const O& c) { o.merge(c); };

// append(later) continues with what `later` saw after everything seen here.
template <class O>
concept appendable_observer = observer<O> && requires(O& o, const O& c) { o.append(c); };

// Says where the units of the tensors observed lie, and can be told. Optional: placed.hpp makes it of any other.
template <class O>
concept placed_observer = observer<O> && requires(O& o, const O& c, const seen_units& units) {
  { c.seen() } -> std::same_as<const seen_units&>;
  o.learn(units);                                     // those of a tensor that could be observed now
};

// Optional, for observers whose copies cost: a fake-quantizer in training copies the others before each tensor, which
// may be too wide.
template <class O>
concept bounded_observer = observer<O> && requires(const O& c, float bound) {
  { c.state_bytes() } -> std::convertible_to<index_t>;  // what a copy of it writes, about
  // Whether all finite elements observed lie within +-bound, and free ends of the range within four times that, without
  // reading any tensor; false is always right.
  { c.within(bound) } -> std::convertible_to<bool>;
};
// clang-format on

}  // namespace lutra::inline LUTRA_ABI
