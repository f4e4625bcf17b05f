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

// Whether a float table can stand for the value.
template <class T> bool fits_float(T x) noexcept {
  constexpr auto largest = static_cast<double>(std::numeric_limits<float>::max());
  return std::fabs(static_cast<double>(x)) <= largest;
}
template <float16_pattern T> bool fits_float(T x) noexcept {
  return (x.bits & 0x7FFFU) < T(std::numeric_limits<float>::infinity()).bits;
}

// Positions of values that no float table can stand for: NaN, infinity, doubles beyond float.
template <class T> std::vector<index_t> misfits(std::span<const T> weight) {
  bool all_fit = true;  // no branch in the loop that as a rule finds nothing
  for (const T x : weight) all_fit &= fits_float(x);
  std::vector<index_t> found;
  for (std::size_t i = 0; !all_fit && i < weight.size(); ++i) {
    if (!fits_float(weight[i])) found.push_back(static_cast<index_t>(i));
  }
  return found;
}

// Raises non_finite for the first of such values.
template <class T>
void refuse_misfits(std::span<const T> weight, std::span<const index_t> found,
                    std::string_view where) {
  if (found.empty()) return;
  const T x = weight[static_cast<std::size_t>(found[0])];
  const std::string at = ", first at position " + text_of(found[0]);
  const std::string all = text_of(static_cast<index_t>(weight.size()));
  const std::string count = text_of(static_cast<index_t>(found.size())) + " of " + all + at;
  if constexpr (std::same_as<T, double>) {
    if (std::isfinite(x)) {
      raise(errc::non_finite, "values beyond the range of float tables", std::string(where),
            count + ": " + text_of(x),
            "magnitudes up to " + text_of(std::numeric_limits<float>::max()));
    }
  }
  raise(errc::non_finite, "NaN or infinite values", std::string(where), count, "finite values");
}

// The largest magnitude of each slice along axis 0, 1 for slices of zeros. `left_out` are ascending
// positions that do not count.
template <class T>
std::vector<float> row_scales(std::span<const T> weight, const shape& extents,
                              std::span<const index_t> left_out, std::string_view where) {
  if (extents.rank() == 0) {
    raise(errc::incompatible, "per-channel scale needs an axis", std::string(where), "rank 0",
          "rank >= 1");
  }
  std::vector<float> scale(static_cast<std::size_t>(extents[0]), 0.0F);
  const auto row = static_cast<std::size_t>(extents.product(1, extents.rank()));
  auto next = left_out.begin();
  for (std::size_t r = 0; row > 0 && r < scale.size(); ++r) {
    for (std::size_t i = r * row; i < (r + 1) * row; ++i) {
      if (next != left_out.end() && static_cast<std::size_t>(*next) == i) {
        ++next;
        continue;
      }
      scale[r] = std::max(scale[r], std::fabs(static_cast<float>(weight[i])));
    }
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

// Runs all groups. A piece of work is as many groups as make it worth its start and its scratch memory.
template <class Task, class Executor>
void run_groups(const Task& task, const block_grid& grid, const palettize_options& options,
                const Executor& executor) {
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
    executor.bulk((end - done + piece - 1) / piece, [&, done, end](index_t i) {
      scratch s;
      const index_t first = done + i * piece;
      for (index_t g = first; g < std::min(first + piece, end); ++g) task(g, s);
    });
  }
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
  using value = stored_element<element>;
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
  const std::vector<index_t> left_out = misfits(weight);
  if (options.non_finite == non_finite_values::error) {
    refuse_misfits(weight, left_out, options.where);
  }
  const bool weighted = options.importance.data() != nullptr;
  if (weighted && !(options.importance.extents() == source.extents())) {
    raise(errc::shape_mismatch, "importance has another shape than the weight", options.where,
          text_of(options.importance.extents()), text_of(source.extents()));
  }
  std::vector<float> importance;
  if (weighted) importance = to_vector<float>(options.importance);
  check_weights(std::span<const float>(importance), importance.size(), options.where);

  palette<float> out = make_palette(spec, grid);
  out.ignored = static_cast<index_t>(left_out.size());
  if (spec.enable_per_channel_scale) {
    out.row_scale = row_scales(weight, source.extents(), left_out, options.where);
  }
  const group_palettizer<element, A> task(weight, importance, left_out, spec, options, grid, out);
  run_groups(task, grid, options, executor);
  return out;
}

template <readable_tensor W>
requires weight_element<element_t<W>> palette<float> palettize(
    const W& w, const palettization_spec& spec, const palettize_options& options = {}) {
  return palettize(w, spec, options, serial_executor{});
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
