// lutra: group.hpp - palettizes one group of a weight; palettize.hpp runs it over all groups.
// SPDX-License-Identifier: Apache-2.0
//
// Gather the values of the group, cluster them, round the centroids to float, give every element its
// nearest entry, and quantize the table where the spec asks for it. The numeric contract is that of
// palettize.hpp.
// Thread safety: one group_palettizer may run different groups concurrently, each thread with a scratch
// of its own; each group writes its own entries of the palette.
#pragma once

#include <lutra/palette/fit_patterns.hpp>
#include <lutra/palette/fit_weighted.hpp>
#include <lutra/palette/options.hpp>
#include <lutra/palette/reference_fast.hpp>
#include <lutra/palette/refine_lut.hpp>
#include <lutra/palette/spec.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Palettizes the groups of one dense weight into a palette whose vectors have their final size. E is the
// element type of the weight; its elements are given as stored_element<E>, which holds them exactly.
template <weight_element E, class A = simd::native> class group_palettizer {
 public:
  using value_type = stored_element<E>;

  using scratch = group_scratch<value_type, A>;

  // `left_out`: ascending positions of elements that take no part and get the nearest entry.
  group_palettizer(std::span<const value_type> weight, std::span<const float> importance,
                   std::span<const index_t> left_out, const palettization_spec& spec,
                   const palettize_options& options, const block_grid& grid, palette<float>& out)
      : weight_(weight),
        importance_(importance),
        left_out_(left_out),
        spec_(spec),
        options_(options),
        grid_(grid),
        row_(grid.extents().rank() == 0
                 ? 1
                 : to_size(grid.extents().product(1, grid.extents().rank()))),
        out_(out) {}

  // Runs on the calling thread, but for large groups, whose passes `executor` may share.
  template <executor Executor = serial_executor>
  void operator()(index_t group, scratch& s, const Executor& executor = {}) const {
    const auto g = to_size(group);
    s.elements.gather(weight_, grid_, group, left_out_);
    gather_factors(s);
    group_fit fit = fit_values(s, executor);
    out_.status[g] = fit.status;
    out_.inertia[g] = fit.inertia;
    out_.lower_bound[g] = fit.lower_bound;
    out_.rounding[g] = fit.rounding;
    out_.error[g] = fit.inertia;
    out_.used_entries[g] = 1;
    for (std::size_t k = 1; k < fit.table.size(); ++k) {
      out_.used_entries[g] += fit.table[k] != fit.table[k - 1] ? 1 : 0;
    }
    store_table(g, fit.table);
    if (spec_.lut_qspec.enabled) quantize_table(g, fit, s, executor);
    s.elements.move_codes(out_.codes);
    code_left_out(g, s);
  }

 private:
  bool scaled() const noexcept { return !out_.row_scale.empty(); }
  fit_group_options how() const noexcept {
    return {.entries = out_.entries(),
            .exact = options_.mode == palettize_mode::exact,
            .max_gap = options_.gap_for(out_.entries())};
  }
  bool plain() const noexcept {
    return importance_.empty() && !scaled() && !of_reference(options_.mode) &&
           !std::same_as<value_type, double>;
  }

  template <class Executor> group_fit fit_values(scratch& s, const Executor& executor) const {
    if (s.elements.size() == 0) {
      return {.table = {0.0F}, .status = palette_status::empty};
    }
    const std::span<std::uint8_t> codes = s.elements.codes(out_.codes);
    s.wide.clear();
    if constexpr (!std::same_as<value_type, double>) {
      if (plain()) return fit_plain(s, codes, executor);
    }
    group_fit fit;
    if (of_reference(options_.mode)) {
      gather_as_reference<E>(s);
      fit = fit_as_reference(s, codes);
    } else {
      fit = fit_weighted(s, codes, executor);
    }
    fit.lower_bound = std::min(fit.lower_bound, fit.inertia);
    return fit;
  }

  template <class Executor>
  group_fit fit_plain(scratch& s, std::span<std::uint8_t> codes, const Executor& executor) const {
    const std::span<const value_type> values = s.elements.values();
    const bool large = values.size() >= large_group;
    if constexpr (std::same_as<value_type, float>) {
      if (large) {
        if (auto fit = fit_counted<A>(values, how(), codes, executor)) return std::move(*fit);
      }
      return fit_sorted(values, how(), codes, s.work);
    } else {
      if (large) return fit_patterns(values, how(), codes, s.work, executor);
      s.narrow.resize(values.size());
      std::transform(values.begin(), values.end(), s.narrow.begin(),
                     [](value_type x) { return static_cast<float>(x); });
      return fit_sorted(std::span<const float>(s.narrow), how(), codes, s.work);
    }
  }

  // A table of weighted values, and the nearest entry for every element: counted if there are many different ones and
  // no more than a certificate is asked for, else optimal.
  template <class Executor>
  group_fit fit_weighted(scratch& s, std::span<std::uint8_t> codes,
                         const Executor& executor) const {
    // Without scale^2 the clustering minimises something else than the inertia that is reported.
    const bool same_objective = !scaled() || options_.scale_squared_importance;
    const bool large = codes.size() >= large_group;
    const bool few = large && sample_is_coarse(s.source()) && s.count_distinct();
    if (large && !few && options_.mode == palettize_mode::certified) {
      if (auto fit = fit_counted(s, how(), same_objective, codes, executor)) return std::move(*fit);
    }
    if (!few) s.sort_source();
    atoms_1d& atoms = s.work.atoms;
    const int e = common_exponent(atoms.value);
    if (e != 0) {
      for (double& x : atoms.value) x = std::ldexp(x, -e);
    }
    atom_clusters clusters = cluster_atoms(atoms, out_.entries(), s.work, how().tolerance());
    for (double& c : clusters.centroids) c = std::ldexp(c, e);
    for (double& x : atoms.value) x = e == 0 ? x : std::ldexp(x, e);
    group_fit fit;
    fit.table = float_table(clusters.centroids);
    fit.inertia = s.assign(fit.table, codes, executor);
    const double gap = how().max_gap;
    if (same_objective) {
      double optimum = std::ldexp(clusters.inertia, 2 * e);
      double rounding = std::ldexp(clusters.rounding, 2 * e);
      if (scaled()) blur_quotients(atoms, optimum, rounding);
      prove_optimal(fit, optimum, rounding, gap);
    } else if (!(clusters.rounding <= gap * clusters.inertia)) {
      fit.status = palette_status::not_certified;
    }
    return fit;
  }

  // Atoms are quotients by the row scale, each rounded by a part u = 2^-53 of itself, and so are their weights: in the
  // space of all values a clustering is off by at most b = u sqrt(sum of w x^2), and its cost c lies between
  // (sqrt(c) - b)^2 and (sqrt(c) + b)^2. `optimum` becomes the upper end of what it may be, the lower one stays below
  // by `rounding`.
  static void blur_quotients(const atoms_1d& atoms, double& optimum, double& rounding) {
    const double squares = sum_in_lanes(0, atoms.value.size(), [&](std::size_t a) {
      return atoms.weight[a] * atoms.value[a] * atoms.value[a];
    });
    const double blur = 0x1.01p-53 * std::sqrt(squares);
    const double least = std::sqrt(std::max(0.0, optimum - rounding)) - blur;
    const double most = std::sqrt(optimum) + blur;
    optimum = most * most * (1 + 0x1p-50);
    rounding = optimum - std::max(0.0, least) * least * (1 - 0x1p-50);
  }

  group_fit fit_as_reference(scratch& s, std::span<std::uint8_t> codes) const {
    const bool narrow = sizeof(E) == 2 && !std::isfinite(static_cast<float>(E(65536.0F)));
    const reference_1d_result r =
        options_.mode == palettize_mode::reference_exact
            ? reference_exact(s.wide, s.weights, out_.entries(), narrow)
            : reference_fast(s.wide, s.weights, out_.entries(), options_.rounding_precision);
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(r.codes[i]);
    group_fit fit;
    for (const double c : r.centroids) fit.table.push_back(in_weight_type<E>(c));
    fit.inertia = s.error_of(fit.table, codes);
    fit.status = palette_status::unproven;
    if (spec_.refine_lut) {
      make_atoms(std::span<const double>(s.wide), std::span<const double>(s.weights), s.work.atoms,
                 s.work.sorter);
    }
    return fit;
  }

  // Row scale and importance of every value, where there are any.
  void gather_factors(scratch& s) const {
    s.scale.resize(scaled() ? s.elements.size() : 0);
    s.given = importance_.empty() ? importance_ : s.elements.piece_of(importance_);
    const bool copied = !importance_.empty() && s.given.empty();
    s.factor.resize(copied ? s.elements.size() : 0);
    s.squared = scaled() && options_.scale_squared_importance;
    if (!scaled() && !copied) return;
    s.elements.for_each([&](std::size_t i, std::size_t at) {
      if (scaled()) s.scale[i] = out_.row_scale[at / row_];
      if (copied) s.factor[i] = importance_[at];
    });
  }

  void store_table(std::size_t g, std::span<const float> table) const {
    const auto entries = to_size(out_.entries());
    for (std::size_t k = 0; k < entries; ++k) {
      out_.lut[g * entries + k] = table[std::min(k, table.size() - 1)];
    }
  }

  // The table in 8 bits: rounded, codes as they are, or made optimal in that form.
  template <class Executor>
  void quantize_table(std::size_t g, const group_fit& fit, scratch& s,
                      const Executor& executor) const {
    quantized_lut q = quantize_lut(fit.table, spec_.lut_qspec);
    std::vector<float> values = values_of(q);
    const bool some = s.elements.size() > 0;
    const std::span<std::uint8_t> codes = s.elements.codes(out_.codes);
    if (some) out_.error[g] = s.error_of(values, codes);
    if (some && spec_.refine_lut && std::is_sorted(values.begin(), values.end())) {
      const line& l = s.clustered_line(fit.counted, executor);
      const std::vector<float> rounded = values;
      q = lut_refiner(l, fit.table, to_size(out_.entries()), spec_.lut_qspec)(q);
      values = values_of(q);
      double error = s.assign(values, codes, executor);
      // The line may be an approximation; the rounded table is never worse than with its old codes.
      if (error > out_.error[g]) {
        q = quantize_lut(fit.table, spec_.lut_qspec);
        values = rounded;
        error = s.assign(values, codes, executor);
      }
      out_.error[g] = error;
    }
    const auto entries = to_size(out_.entries());
    for (std::size_t k = 0; k < entries; ++k) {
      out_.lut_codes[g * entries + k] = q.codes[std::min(k, q.codes.size() - 1)];
    }
    out_.scale[g] = q.scale.scale;
    if (!out_.zero_point.empty()) out_.zero_point[g] = q.scale.zero_point;
    store_table(g, values);
    int distinct = 1;
    for (std::size_t k = 1; k < values.size(); ++k) distinct += values[k] != values[k - 1] ? 1 : 0;
    out_.collapsed_entries[g] = std::max(0, out_.used_entries[g] - distinct);
  }
  static std::vector<float> values_of(const quantized_lut& q) {
    std::vector<float> values;
    for (const std::uint8_t code : q.codes) values.push_back(lut_value(q.scale, code));
    return values;
  }

  // Elements that took no part: the nearest entry to their value, to 0 for NaN.
  void code_left_out(std::size_t g, const scratch& s) const {
    if (s.elements.excluded().empty()) return;
    const auto entries = to_size(out_.entries());
    const std::span<const float> table(out_.lut.data() + g * entries, entries);
    std::vector<double> ordered(table.begin(),
                                table.end());  // mode reference_exact may leave them out of order
    std::sort(ordered.begin(), ordered.end());
    const std::vector<double> mids = midpoints_of(ordered);
    // Not the padding behind the last entry in use.
    std::vector<std::uint8_t> first;
    for (const double entry : ordered) {
      const auto found = std::find(table.begin(), table.end(), static_cast<float>(entry));
      first.push_back(static_cast<std::uint8_t>(found - table.begin()));
    }
    for (const index_t position : s.elements.excluded()) {
      const auto at = to_size(position);
      const double x = widened(weight_[at]);
      const double scale = scaled() ? static_cast<double>(out_.row_scale[at / row_]) : 1.0;
      out_.codes[at] = first[nearest_index(mids, std::isnan(x) ? 0.0 : x / scale)];
    }
  }

  std::span<const value_type> weight_;
  std::span<const float> importance_;
  std::span<const index_t> left_out_;
  const palettization_spec& spec_;
  const palettize_options& options_;
  const block_grid& grid_;
  std::size_t row_;  // elements per index of axis 0
  palette<float>& out_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
