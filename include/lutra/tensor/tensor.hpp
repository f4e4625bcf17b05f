// lutra: tensor.hpp - tensor<T>: an owning, dense, row-major tensor.
// SPDX-License-Identifier: Apache-2.0
//
// Used for results and by the reference IR. Value semantics; concurrent reads are safe.
#pragma once

#include <lutra/tensor/traits.hpp>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

template <class T> class tensor {
 public:
  using value_type = T;

  tensor() : extents_{0} {}
  // Value-initialised elements.
  explicit tensor(const shape& extents) : extents_(extents), elements_(to_size(extents.size())) {}
  tensor(const shape& extents, std::vector<T> elements)
      : extents_(extents), elements_(std::move(elements)) {
    if (static_cast<index_t>(elements_.size()) != extents_.size()) {
      raise(errc::shape_mismatch, "element count does not match the shape", "tensor",
            text_of(static_cast<index_t>(elements_.size())),
            text_of(extents_.size()) + " for " + text_of(extents_));
    }
  }
  // Dense copy of anything readable, converted element by element.
  template <readable_tensor X> static tensor copy_of(const X& x) {
    const auto v = lutra::view(x);
    return tensor(v.extents(), to_vector<T>(v));
  }

  const shape& extents() const noexcept { return extents_; }
  index_t extent(int axis) const noexcept { return extents_[axis]; }
  int rank() const noexcept { return extents_.rank(); }
  index_t size() const noexcept { return extents_.size(); }
  T* data() noexcept { return elements_.data(); }
  const T* data() const noexcept { return elements_.data(); }
  std::vector<T>& elements() noexcept { return elements_; }
  const std::vector<T>& elements() const noexcept { return elements_; }
  T& operator[](index_t i) noexcept { return elements_[to_size(i)]; }
  const T& operator[](index_t i) const noexcept { return elements_[to_size(i)]; }

  // The same elements under another shape of equal size.
  tensor reshaped(const shape& extents) && { return tensor(extents, std::move(elements_)); }
  tensor reshaped(const shape& extents) const& { return tensor(extents, elements_); }

  friend bool operator==(const tensor&, const tensor&) = default;

 private:
  shape extents_;
  std::vector<T> elements_;
};

template <class T> struct tensor_traits<tensor<T>> {
  static tensor_view<const T> view(const tensor<T>& x) { return {x.data(), x.extents()}; }
  static tensor_view<T> view(tensor<T>& x) { return {x.data(), x.extents()}; }
};
static_assert(writable_tensor<tensor<float>>);

}  // namespace lutra::inline LUTRA_ABI
