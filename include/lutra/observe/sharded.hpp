// lutra: sharded.hpp - one tensor observed by an executor.
// SPDX-License-Identifier: Apache-2.0
//
// The tensor is cut along an axis into shards whose number depends on its shape alone (about 2^16 elements
// each); a copy of the observer sees each shard, and the copies are merged. Merging is exact, so every executor
// gives the same bytes: for ranges and histograms those of one serial observe(), for the sums of "statistics"
// those of observing the shards as batches (sums of another cut differ in the last bits).
// For observers that merge: a moving average does not compile, in a box it raises unsupported.
#pragma once

#include <lutra/affine/granularity.hpp>
#include <lutra/affine/sharded.hpp>
#include <lutra/observe/observer.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// The outermost axis of several positions that the blocks of `g` do not cut; -1 if there is none.
inline int shardable_axis(const granularity& g, const shape& extents) {
  const block_grid units = grid_of(g, extents, "observe", short_groups::allow);
  for (int a = 0; a < extents.rank(); ++a) {
    if (extents[a] > 1 && units.block()[a] >= extents[a]) return a;
  }
  return -1;
}

// o.observe(x) by shards; g is the granularity of o's spec, another raises invalid_argument. Strong guarantee.
template <mergeable_observer O, executor E>
void observe(const E& e, O& o, tensor_view<const float> x, const granularity& g) {
  const int axis = x.empty() ? -1 : shardable_axis(g, x.extents());
  if (axis < 0) return o.observe(x);
  const axis_shards shards(x.extents()[axis], 1, x.size());
  if (shards.count() == 1) return o.observe(x);
  O fresh = o;
  fresh.reset();
  std::vector<O> parts(to_size(shards.count()), fresh);
  e.bulk(shards.count(), [&](index_t i) {
    const index_range r = shards.at(i);
    parts[to_size(i)].observe(
        {x.data() + r.begin * x.stride(axis), x.extents().with(axis, r.size()), x.strides()});
  });
  const index_t units = grid_of(g, x.extents(), "observe", short_groups::allow).count();
  if (const index_t seen = parts[0].units(); seen != units) {
    raise(errc::invalid_argument, "not the granularity of the observer's spec", "observe",
          text_of(g) + ": " + text_of(units) + " units for shape " + text_of(x.extents()),
          text_of(seen) + " units in a shard of it");
  }
  for (std::size_t i = 1; i < parts.size(); ++i) parts[0].merge(parts[i]);
  // A shard more, or the last tensor, where only that counts.
  if constexpr (requires { o.can_append(); }) {
    o.can_append() ? o.append(parts[0]) : o.merge(parts[0]);
  } else if constexpr (appendable_observer<O>) {
    o.append(parts[0]);
  } else {
    o.merge(parts[0]);
  }
}

}  // namespace lutra::inline LUTRA_ABI
