// lutra: sharded.hpp - fake_quantize with the work given to an executor.
// SPDX-License-Identifier: Apache-2.0
//
// The tensor is cut along its first axis, between blocks, into shards whose number depends on its shape alone
// (about 2^16 elements each). No element depends on another: the bits are those of the serial call, whoever runs
// the shards. Streaming is decided by the size of the whole.
#pragma once

#include <lutra/affine/quantize.hpp>
#include <lutra/core/executor.hpp>

namespace lutra::inline LUTRA_ABI {

// Positions on the first axis, in multiples of `step`, that one shard covers.
class axis_shards {
 public:
  axis_shards(index_t extent, index_t step, index_t size) noexcept : extent_(extent), step_(step) {
    constexpr index_t elements = index_t{1} << 16;
    const index_t steps = (extent + step - 1) / step;
    count_ = std::clamp<index_t>(size / elements, 1, std::max<index_t>(steps, 1));
  }
  index_t count() const noexcept { return count_; }
  index_range at(index_t i) const noexcept {
    const index_range r = shard((extent_ + step_ - 1) / step_, count_, i);
    return {r.begin * step_, std::min(r.end * step_, extent_)};
  }

 private:
  index_t extent_, step_;
  index_t count_ = 1;
};

// Of `count` units from unit `first` on, with the offsets that their formulation reads: of others any may be there.
inline qparams params_of_units(const qparams& p, index_t first, index_t count) {
  qparams part{p.dtype, p.qformulation, p.quant_min, p.quant_max, p.granularity, {}, {}, {}};
  const auto cut = [&](const auto& from, auto& to) {
    if (!from.empty()) to.assign(from.begin() + first, from.begin() + first + count);
  };
  cut(p.scale, part.scale);
  p.qformulation == qformulation::zp ? cut(p.zero_point, part.zero_point)
                                     : cut(p.minval, part.minval);
  return part;
}

// As fake_quantize(x, p, out, q): the same errors and bits. Raises nothing once shards run.
template <class Level = simd::native, executor E>
void fake_quantize(const E& e, tensor_view<const float> x, const qparams& p, tensor_view<float> out,
                   quotient q = quotient::exact) {
  const char* where = "fake_quantize";
  check_same_extents(x.extents(), out.extents(), where);
  const checked_qparams checked = check(p, where);
  const block_grid whole = units_of(checked, x.extents(), where);
  if (x.empty()) return;
  const bool one_unit = whole.count() == 1;  // cut anywhere
  const shape line{x.size()};
  const block_grid units = one_unit ? block_grid(line, line) : whole;
  const index_t step = units.block()[0];
  const index_t extent = units.extents()[0];
  const bool between = step < extent;  // else every shard has the parameters of all
  const axis_shards shards(extent, between ? step : 1, x.size());
  const index_t row = x.size() / extent;
  const index_t units_per_step = units.count() / units.grid()[0];
  on_dense(x, out, [&](const float* from, float* to) {
    const bool stream = from != to && is_streamed(x.size());
    e.bulk(shards.count(), [&](index_t i) {
      const index_range r = shards.at(i);
      const block_grid slice(units.extents().with(0, r.size()),
                             units.block().with(0, between ? step : r.size()));
      const float* const x0 = from + r.begin * row;
      float* const y0 = to + r.begin * row;
      if (!between) return fake_quantize_dense<Level>(x0, y0, checked, slice, q, stream);
      const qparams own = params_of_units(p, r.begin / step * units_per_step, slice.count());
      fake_quantize_dense<Level>(x0, y0, {own, checked.same_zero_points}, slice, q, stream);
    });
  });
}

}  // namespace lutra::inline LUTRA_ABI
