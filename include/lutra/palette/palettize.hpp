// lutra: palettize.hpp - a dense weight to look-up tables plus indices.
// SPDX-License-Identifier: Apache-2.0
//
// One group (tensor/slices.hpp) gets one table of 2^n_bits values, chosen to minimise
//   sum of importance * (w - table[code])^2                      over the elements of the group, or
//   sum of importance * (w - row_scale[row] * table[code])^2     with enable_per_channel_scale,
// where row_scale[row] is the largest magnitude of the row (axis 0). Elements that are ignored
// (options.non_finite) or kept apart (spec.outliers) count in neither.
//
// Numeric contract: clustering in double (cluster/exact_1d.hpp); table entries are its centroids
// rounded to float; an element gets the nearest entry, decided in double, the lower one on a tie.
// Same input and options give the same bits for every executor, ISA and compiler. Multiplying the
// weight by a power of two changes nothing but exponents.
// Groups of 131,072 elements and more are counted and certified, whatever their weights (fit_group.hpp,
// fit_weighted.hpp); smaller ones are optimal.
// Thread safety: a pure function; the executor decides on threads, groups are the units of work.
#pragma once

#include <atomic>
#include <concepts>
#include <iterator>
#include <lutra/core/executor.hpp>
#include <lutra/palette/group.hpp>
#include <lutra/palette/group_workers.hpp>
#include <lutra/palette/weight_values.hpp>
#include <lutra/tensor/traits.hpp>
#include <string>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// An empty result of the right sizes.
inline palette<float> make_palette(const palettization_spec& spec, const block_grid& grid) {
  palette<float> p;
  p.weight_shape = grid.extents();
  p.block = grid.block();
  p.n_bits = spec.n_bits;
  const auto groups = to_size(grid.count());
  const std::size_t entries = groups * to_size(p.entries());
  p.lut.resize(entries);
  p.codes.resize(to_size(grid.extents().size()));
  if (spec.lut_qspec.enabled) {
    p.lut_dtype = spec.lut_qspec.dtype;
    p.lut_codes.resize(entries);
    p.scale.resize(groups);
    if (is_integer(p.lut_dtype)) p.zero_point.resize(groups);
  }
  p.status.resize(groups);
  p.inertia.resize(groups);
  p.lower_bound.resize(groups);
  p.rounding.resize(groups);
  p.error.resize(groups);
  p.used_entries.resize(groups);
  p.collapsed_entries.resize(groups);
  return p;
}

// Runs all groups, at most `workers` at a time. A piece of work is as many groups as make it worth its start; a
// worker takes one after the other, with the same scratch memory.
template <class Task, class Executor>
void run_groups(const Task& task, const block_grid& grid, const palettize_options& options,
                index_t workers, const Executor& executor) {
  using scratch = typename Task::scratch;
  if (grid.count() == 1) {  // the passes over one large group are shared out instead
    report_progress(options.progress, options.where, 0, 1);
    scratch s;
    task(0, s, executor);
    return;
  }
  constexpr index_t piece_elements = index_t{1} << 14;
  const index_t groups = grid.count();
  const index_t group_size =
      std::max<index_t>(grid.extents().size() / std::max<index_t>(groups, 1), 1);
  const index_t piece = std::max<index_t>(piece_elements / group_size, 1);
  // Without a callback everything is one batch; with one, about a hundred.
  const index_t batch = options.progress ? groups / 100 + 1 : groups;
  for (index_t done = 0; done < groups; done += batch) {
    const index_t end = std::min(done + batch, groups);
    report_progress(options.progress, options.where, done, groups);
    const index_t pieces = (end - done + piece - 1) / piece;
    std::atomic<index_t> next = 0;
    executor.bulk(std::min(pieces, workers), [&, done, end](index_t) {
      scratch s;
      for (index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) {
        const index_t first = done + i * piece;
        for (index_t g = first; g < std::min(first + piece, end); ++g) task(g, s);
      }
    });
  }
}

// The best of palette_with(0), (1), (2), (4), .. up to `limit`. A spare bit per weight divides the error by
// four, so b bits more must divide it by about 1 + b log 4 to pay.
template <class F> palette<float> cheapest(std::size_t limit, index_t elements, F&& palette_with) {
  constexpr double log4 = 1.3862943611198906;
  const auto price = [elements](const palette<float>& p) {
    double error = 0;
    for (const double e : p.error) error += e;
    const double bytes = static_cast<double>(p.outliers.bytes(elements));
    return error * (1 + log4 * 8 * bytes / static_cast<double>(std::max<index_t>(elements, 1)));
  };
  palette<float> best = palette_with(std::size_t{0});
  for (std::size_t count = 1; limit > 0; count *= 2) {
    palette<float> p = palette_with(std::min(count, limit));
    if (price(p) < price(best)) best = std::move(p);
    if (count >= limit) break;
  }
  return best;
}

// Palettizes with the groups spread over `executor`. A granularity without an axis groups along axis
// 0. Raises non_finite for NaN or infinite weights, incompatible for a group size that does not divide
// its axis under short_groups::forbid, and what check(spec) raises. Empty weights give tables of zeros, at least
// one, and status `empty`.
template <readable_tensor W, executor Executor, class A = simd::native>
requires weight_element<element_t<W>> palette<float> palettize(const W& w,
                                                               const palettization_spec& spec,
                                                               const palettize_options& options,
                                                               const Executor& executor) {
  using element = element_t<W>;
  using value = stored_element<element>;
  check(spec, options.where);
  if (options.rounding_precision < 1 || options.rounding_precision > 38) {
    raise(errc::invalid_argument, "rounding_precision out of range", options.where,
          text_of(options.rounding_precision), range_text(1, 38));
  }
  const tensor_view<const element> source = lutra::view(w);
  const block_grid grid =
      grid_of(spec.granularity.with_axis(0), source.extents(), options.where, spec.short_groups)
          .at_least_one();
  std::vector<value> copy;
  std::span<const value> weight;
  if constexpr (std::same_as<element, value>) {
    if (source.is_contiguous()) weight = source.elements();
  }
  if (weight.empty()) {
    copy = to_vector<value>(source);
    weight = copy;
  }
  const std::vector<index_t> ignored = misfits(weight);
  if (options.non_finite == non_finite_values::error) {
    refuse_misfits(weight, ignored, options.where);
  }
  const bool weighted = options.importance.data() != nullptr;
  if (weighted && !(options.importance.extents() == source.extents())) {
    raise(errc::shape_mismatch, "importance has another shape than the weight", options.where,
          text_of(options.importance.extents()), text_of(source.extents()));
  }
  std::vector<float> importance_copy;
  std::span<const float> importance;
  if (weighted && options.importance.is_contiguous()) {
    importance = options.importance.elements();
  } else if (weighted) {
    importance = importance_copy = to_vector<float>(options.importance);
  }
  check_weights(importance, importance.size(), options.where);

  // Kept apart: the first `outliers` of the largest magnitudes.
  const std::vector<index_t> largest =
      largest_magnitudes(weight, spec.outliers.limit(source.size()), ignored);
  const auto with_outliers = [&](std::size_t outliers) {
    palette<float> p = make_palette(spec, grid);
    p.ignored = static_cast<index_t>(ignored.size());
    std::vector<index_t>& apart = p.outliers.position;
    apart.assign(largest.begin(), largest.begin() + static_cast<std::ptrdiff_t>(outliers));
    std::sort(apart.begin(), apart.end());
    for (const index_t at : apart) {
      p.outliers.value.push_back(static_cast<float>(weight[to_size(at)]));
    }
    std::vector<index_t> left_out;
    std::merge(ignored.begin(), ignored.end(), apart.begin(), apart.end(),
               std::back_inserter(left_out));
    if (spec.enable_per_channel_scale) {
      p.row_scale = row_scales(weight, source.extents(), left_out, options.where);
    }
    const group_load load{
        .weight_bytes = source.size() * static_cast<index_t>(sizeof(value)),
        .element_bytes = static_cast<index_t>(sizeof(value)),
        .group_elements = grid.block().size(),
        .entries = p.entries(),
        .weighted = weighted || spec.enable_per_channel_scale || std::same_as<value, double>,
        .quantized = spec.lut_qspec.enabled};
    run_groups(group_palettizer<element, A>(weight, importance, left_out, spec, options, grid, p),
               grid, options, group_workers(load), executor);
    return p;
  };
  if (!spec.outliers.by_gain) return with_outliers(largest.size());
  return cheapest(largest.size(), source.size(), with_outliers);
}

template <readable_tensor W>
requires weight_element<element_t<W>> palette<float> palettize(
    const W& w, const palettization_spec& spec, const palettize_options& options = {}) {
  return palettize(w, spec, options, serial_executor{});
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
