// lutra: loop_constants.hpp - where the loops over dense memory take the constants of their elements from.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/affine/lanes.hpp>
#include <vector>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// The same ones everywhere ...
template <class V> class uniform_constants {
 public:
  explicit uniform_constants(const unit_constants<float>& c) noexcept : constants_(spread<V>(c)) {}
  [[gnu::always_inline]] unit_constants<V> at(index_t) const noexcept { return constants_; }

 private:
  unit_constants<V> constants_;
};

// ... or one set per element of a row, as happens when the last axis is cut finely. Field by field.
class row_constants {
 public:
  static constexpr index_t padding = 64;         // registers may be loaded past the end
  row_constants(const row_constants&) = delete;  // a copy would lie elsewhere
  row_constants& operator=(const row_constants&) = delete;

  explicit row_constants(index_t n)
      : stride_((n + padding + line - 1) / line * line), values_(to_size(fields * stride_ + line)) {
    const auto past = reinterpret_cast<std::uintptr_t>(values_.data()) / sizeof(float) % line;
    first_ = (line - static_cast<index_t>(past)) % line;
    std::fill_n(field(0), 2 * stride_, 1.0F);  // harmless for the lanes past the end
  }
  unit_constants<float> at(index_t i) const noexcept {
    return {field(0)[i], field(1)[i], field(2)[i], field(3)[i], field(4)[i], field(5)[i]};
  }
  void set(index_t i, const unit_constants<float>& c) noexcept {
    const float value[fields] = {c.scale,   c.reciprocal,   c.lowest,
                                 c.highest, c.float_offset, c.integer_offset};
    for (index_t f = 0; f < fields; ++f) field(f)[i] = value[f];
  }
  const float* data() const noexcept { return field(0); }
  index_t stride() const noexcept { return stride_; }  // from one field to the next
  static constexpr index_t fields = 6;                 // in the order of unit_constants
  // Integer offset and bounds less it, if all have the same, as units of float formats do: a loop then reads scales
  // and reciprocals only.
  struct shared_bounds {
    bool present = false;
    float lo = 0, hi = 0, integer_offset = 0;
  };
  shared_bounds shared;

  float* field(index_t f) noexcept { return values_.data() + first_ + f * stride_; }
  const float* field(index_t f) const noexcept { return values_.data() + first_ + f * stride_; }

 private:
  static constexpr index_t line = 16;  // every field begins a cache line

  index_t stride_;
  index_t first_ = 0;
  std::vector<float> values_;
};
template <class V> class varying_constants {
 public:
  explicit varying_constants(const row_constants& row) noexcept
      : first_(row.data()), stride_(row.stride()) {}
  [[gnu::always_inline]] unit_constants<V> at(index_t i) const noexcept {
    const float* p = first_ + i;
    return {simd::load<V>(p),
            simd::load<V>(p + stride_),
            simd::load<V>(p + 2 * stride_),
            simd::load<V>(p + 3 * stride_),
            simd::load<V>(p + 4 * stride_),
            simd::load<V>(p + 5 * stride_)};
  }

 private:
  const float* first_;
  index_t stride_;
};

// The same for zp and float formats with shared bounds.
template <class V> class varying_scales {
 public:
  explicit varying_scales(const row_constants& row) noexcept
      : first_(row.data()),
        stride_(row.stride()),
        lo_(row.shared.lo),
        hi_(row.shared.hi),
        integer_offset_(row.shared.integer_offset) {}
  [[gnu::always_inline]] unit_constants<V> at(index_t i) const noexcept {
    const V scale = simd::load<V>(first_ + i);
    return {scale,          simd::load<V>(first_ + i + stride_), lo_ * scale, hi_ * scale, V(0.0F),
            integer_offset_};
  }

 private:
  const float* first_;
  index_t stride_;
  V lo_, hi_, integer_offset_;
};

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
