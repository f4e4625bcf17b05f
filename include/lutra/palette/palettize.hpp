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
#include <lutra/cluster/exact_1d.hpp>
#include <lutra/core/executor.hpp>
#include <lutra/core/progress.hpp>
#include <lutra/palette/lut_quantize.hpp>
#include <lutra/palette/palette.hpp>
#include <lutra/palette/spec.hpp>
#include <lutra/tensor/traits.hpp>
#include <string>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct palettize_options {
  // Positive weight of every element in the objective, of the weight's shape; none: all 1.
  tensor_view<const float> importance{};
  // With per-channel scale, weigh the normalised values by scale^2, which makes the objective the
  // error of the weight itself. false: the error of the normalised values (the reference's choice).
  bool scale_squared_importance = true;
  std::string where = "palettize";  // names the tensor in error messages
  progress_callback progress{};
};

// Elements whose arithmetic is float or double, or that convert to float without loss.
template <class E>
concept weight_element = std::floating_point<E> || requires(const E& e) {
  static_cast<float>(e);
};

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

// Palettizes the groups of one dense weight into a palette whose vectors have their final size.
template <std::floating_point E> class group_palettizer {
 public:
  group_palettizer(std::span<const E> weight, std::span<const float> importance,
                   const palettization_spec& spec, const palettize_options& options,
                   const block_grid& grid, palette<float>& out)
      : weight_(weight),
        importance_(importance),
        spec_(spec),
        options_(options),
        grid_(grid),
        row_(grid.extents().rank() == 0
                 ? 1
                 : static_cast<std::size_t>(grid.extents().product(1, grid.extents().rank()))),
        out_(out) {}

  void operator()(index_t group) const {
    std::vector<double> values, weights;
    gather(group, values, weights);
    atoms_1d atoms = make_atoms(std::span<const double>(values), std::span<const double>(weights));
    const int e = common_exponent(atoms.value);
    for (double& x : atoms.value) x = std::ldexp(x, -e);
    const atom_clusters clusters = cluster_atoms(atoms, out_.entries());
    std::vector<float> table;
    for (const double c : clusters.centroids) {
      const auto entry = static_cast<float>(std::ldexp(c, e));
      if (table.empty() || table.back() != entry) table.push_back(entry);
    }
    const auto g = static_cast<std::size_t>(group);
    out_.status[g] = palette_status::optimal;
    out_.used_entries[g] = static_cast<int>(table.size());
    store_table(g, table);
    assign(group, values, table);
    out_.inertia[g] = measure_error(group, table);
    out_.lower_bound[g] = std::min(out_.inertia[g], std::ldexp(clusters.inertia, 2 * e));
    out_.error[g] = out_.inertia[g];
    if (spec_.lut_qspec.enabled) quantize_table(group, table);
  }

 private:
  float row_scale(index_t position) const noexcept {
    return out_.row_scale.empty() ? 1.0F
                                  : out_.row_scale[static_cast<std::size_t>(position) / row_];
  }
  double importance(index_t position) const noexcept {
    return importance_.empty()
               ? 1.0
               : static_cast<double>(importance_[static_cast<std::size_t>(position)]);
  }
  template <class F> void for_each_position(index_t group, F&& f) const {
    grid_.for_each_run_of(group, [&](index_t first, index_t length) {
      for (index_t i = first; i < first + length; ++i) f(i);
    });
  }

  void gather(index_t group, std::vector<double>& values, std::vector<double>& weights) const {
    const bool scaled = !out_.row_scale.empty();
    const bool weighted = !importance_.empty() || (scaled && options_.scale_squared_importance);
    for_each_position(group, [&](index_t i) {
      const auto x = static_cast<double>(weight_[static_cast<std::size_t>(i)]);
      const auto s = static_cast<double>(row_scale(i));
      values.push_back(scaled ? x / s : x);
      if (weighted) {
        const double w = importance(i);
        weights.push_back(scaled && options_.scale_squared_importance ? w * (s * s) : w);
      }
    });
  }

  void store_table(std::size_t g, std::span<const float> table) const {
    const auto entries = static_cast<std::size_t>(out_.entries());
    for (std::size_t k = 0; k < entries; ++k) {
      out_.lut[g * entries + k] = table[std::min(k, table.size() - 1)];
    }
  }

  void assign(index_t group, std::span<const double> values, std::span<const float> table) const {
    const std::vector<double> wide(table.begin(), table.end());
    const std::vector<double> mids = midpoints_of(wide);
    std::size_t next = 0;
    for_each_position(group, [&](index_t i) {
      out_.codes[static_cast<std::size_t>(i)] =
          static_cast<std::uint8_t>(nearest_index(mids, values[next++]));
    });
  }

  double measure_error(index_t group, std::span<const float> table) const {
    compensated_sum sum;
    for_each_position(group, [&](index_t i) {
      const auto u = static_cast<std::size_t>(i);
      const double d = static_cast<double>(weight_[u]) - static_cast<double>(table[out_.codes[u]]) *
                                                             static_cast<double>(row_scale(i));
      sum.add(importance(i) * (d * d));
    });
    return sum.value();
  }

  void quantize_table(index_t group, std::span<const float> table) const {
    const auto g = static_cast<std::size_t>(group);
    const quantized_lut q = quantize_lut(table, spec_.lut_qspec);
    std::vector<float> values;
    int collapsed = 0;
    for (std::size_t k = 0; k < q.codes.size(); ++k) {
      values.push_back(lut_value(q.scale, q.codes[k]));
      collapsed += k > 0 && q.codes[k] == q.codes[k - 1] ? 1 : 0;
    }
    const auto entries = static_cast<std::size_t>(out_.entries());
    for (std::size_t k = 0; k < entries; ++k) {
      out_.lut_codes[g * entries + k] = q.codes[std::min(k, q.codes.size() - 1)];
    }
    out_.scale[g] = q.scale.scale;
    if (!out_.zero_point.empty()) out_.zero_point[g] = q.scale.zero_point;
    store_table(g, values);
    out_.collapsed_entries[g] = collapsed;
    out_.error[g] = measure_error(group, values);
  }

  std::span<const E> weight_;
  std::span<const float> importance_;
  const palettization_spec& spec_;
  const palettize_options& options_;
  const block_grid& grid_;
  std::size_t row_;  // elements per index of axis 0
  palette<float>& out_;
};

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
template <readable_tensor W, executor Executor>
requires weight_element<element_t<W>> palette<float> palettize(const W& w,
                                                               const palettization_spec& spec,
                                                               const palettize_options& options,
                                                               const Executor& executor) {
  using element = element_t<W>;
  using value = std::conditional_t<std::same_as<element, double>, double, float>;
  check(spec, options.where);
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
  check_finite(weight, options.where);
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
  const group_palettizer<value> task(weight, importance, spec, options, grid, out);
  // Without a callback everything is one batch; with one, about a hundred.
  const index_t batch = options.progress ? grid.count() / 100 + 1 : grid.count();
  for (index_t done = 0; done < grid.count(); done += batch) {
    const index_t count = std::min(batch, grid.count() - done);
    report_progress(options.progress, options.where, done, grid.count());
    executor.bulk(count, [&, done](index_t i) { task(done + i); });
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
