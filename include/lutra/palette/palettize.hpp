// lutra: palettize.hpp - a dense weight to look-up tables plus indices.
// SPDX-License-Identifier: Apache-2.0
//
// One group (tensor/slices.hpp) gets one table of 2^n_bits values, chosen to minimise
//   sum of importance * (w - table[code])^2                      over the elements of the group, or
//   sum of importance * (w - row_scale[row] * table[code])^2     with enable_per_channel_scale,
// where row_scale[row] is the largest magnitude of the row (axis 0).
//
// Numeric contract: clustering in double (cluster/exact_1d.hpp); table entries are its centroids
// rounded to float; an element gets the nearest entry, decided in double, the lower one on a tie.
// Same input and options give the same bits for every executor, ISA and compiler. Multiplying the
// weight by a power of two changes nothing but exponents.
// Thread safety: a pure function; the executor decides on threads, groups are the units of work.
#pragma once

#include <concepts>
#include <lutra/core/executor.hpp>
#include <lutra/palette/group.hpp>
#include <lutra/tensor/traits.hpp>
#include <string>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Raises non_finite for NaN or infinite values, and for doubles that a float table cannot hold.
template <std::floating_point E>
void check_values(std::span<const E> weight, std::string_view where) {
  check_finite(weight, where);
  if constexpr (std::same_as<E, double>) {
    constexpr auto largest = static_cast<double>(std::numeric_limits<float>::max());
    for (std::size_t i = 0; i < weight.size(); ++i) {
      if (std::fabs(weight[i]) <= largest) continue;
      raise(errc::non_finite, "value beyond the range of float tables", std::string(where),
            text_of(weight[i]) + " at position " + text_of(static_cast<index_t>(i)),
            "magnitudes up to " + text_of(largest));
    }
  }
}

// The largest magnitude of each slice along axis 0, 1 for slices of zeros.
template <class E>
std::vector<float> row_scales(std::span<const E> weight, const shape& extents,
                              std::string_view where) {
  if (extents.rank() == 0) {
    raise(errc::incompatible, "per-channel scale needs an axis", std::string(where), "rank 0",
          "rank >= 1");
  }
  std::vector<float> scale(static_cast<std::size_t>(extents[0]), 0.0F);
  const auto row = static_cast<std::size_t>(extents.product(1, extents.rank()));
  for (std::size_t i = 0; i < weight.size(); ++i) {
    float& s = scale[i / row];
    s = std::max(s, static_cast<float>(std::fabs(weight[i])));
  }
  for (float& s : scale) s = s == 0.0F ? 1.0F : s;
  return scale;
}

// An empty result of the right sizes.
inline palette<float> make_palette(const palettization_spec& spec, const block_grid& grid) {
  palette<float> p;
  p.weight_shape = grid.extents();
  p.block = grid.block();
  p.n_bits = spec.n_bits;
  const auto groups = static_cast<std::size_t>(grid.count());
  const std::size_t entries = groups * static_cast<std::size_t>(p.entries());
  p.lut.resize(entries);
  p.codes.resize(static_cast<std::size_t>(grid.extents().size()));
  if (spec.lut_qspec.enabled) {
    p.lut_dtype = spec.lut_qspec.dtype;
    p.lut_codes.resize(entries);
    p.scale.resize(groups);
    if (is_integer(p.lut_dtype)) p.zero_point.resize(groups);
  }
  p.status.resize(groups);
  p.inertia.resize(groups);
  p.lower_bound.resize(groups);
  p.error.resize(groups);
  p.used_entries.resize(groups);
  p.collapsed_entries.resize(groups);
  return p;
}

// Palettizes with the groups spread over `executor`. A granularity without an axis groups along axis
// 0. Raises non_finite for NaN or infinite weights, incompatible for a group size that does not divide
// its axis under short_groups::forbid, and what check(spec) raises. Empty weights give no groups.
template <readable_tensor W, executor Executor, class A = simd::native>
requires weight_element<element_t<W>> palette<float> palettize(const W& w,
                                                               const palettization_spec& spec,
                                                               const palettize_options& options,
                                                               const Executor& executor) {
  using element = element_t<W>;
  using value = std::conditional_t<std::same_as<element, double>, double, float>;
  check(spec, options.where);
  if (options.rounding_precision < 1 || options.rounding_precision > 38) {
    raise(errc::invalid_argument, "rounding_precision out of range", options.where,
          text_of(options.rounding_precision), range_text(1, 38));
  }
  const tensor_view<const element> source = lutra::view(w);
  const block_grid grid =
      grid_of(spec.granularity.with_axis(0), source.extents(), options.where, spec.short_groups);
  std::vector<value> copy;
  std::span<const value> weight;
  if constexpr (std::same_as<element, value>) {
    if (source.is_contiguous()) weight = source.elements();
  }
  if (weight.empty()) {
    copy = to_vector<value>(source);
    weight = copy;
  }
  check_values(weight, options.where);
  const bool weighted = options.importance.data() != nullptr;
  if (weighted && !(options.importance.extents() == source.extents())) {
    raise(errc::shape_mismatch, "importance has another shape than the weight", options.where,
          text_of(options.importance.extents()), text_of(source.extents()));
  }
  std::vector<float> importance;
  if (weighted) importance = to_vector<float>(options.importance);
  check_weights(std::span<const float>(importance), importance.size(), options.where);

  palette<float> out = make_palette(spec, grid);
  if (spec.enable_per_channel_scale) {
    out.row_scale = row_scales(weight, source.extents(), options.where);
  }
  const group_palettizer<element, A> task(weight, importance, spec, options, grid, out);
  // Without a callback everything is one batch; with one, about a hundred.
  const index_t batch = options.progress ? grid.count() / 100 + 1 : grid.count();
  for (index_t done = 0; done < grid.count(); done += batch) {
    const index_t count = std::min(batch, grid.count() - done);
    report_progress(options.progress, options.where, done, grid.count());
    if (grid.count() == 1) {
      task(0, executor);  // the passes over one large group are shared out instead
    } else {
      executor.bulk(count, [&, done](index_t i) { task(done + i, serial_executor{}); });
    }
  }
  return out;
}

template <readable_tensor W>
requires weight_element<element_t<W>> palette<float> palettize(
    const W& w, const palettization_spec& spec, const palettize_options& options = {}) {
  return palettize(w, spec, options, serial_executor{});
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
