// lutra: group.hpp - palettizes one group of a weight; palettize.hpp runs it over all groups.
// SPDX-License-Identifier: Apache-2.0
//
// Gather the values of the group, cluster them, round the centroids to float, give every element its
// nearest entry, and quantize the table where the spec asks for it. The numeric contract is that of
// palettize.hpp.
// Thread safety: one group_palettizer may run different groups concurrently; each writes its own
// entries of the palette.
#pragma once

#include <concepts>
#include <lutra/cluster/exact_1d.hpp>
#include <lutra/core/progress.hpp>
#include <lutra/palette/large_group.hpp>
#include <lutra/palette/lut_quantize.hpp>
#include <lutra/palette/palette.hpp>
#include <lutra/palette/reference_fast.hpp>
#include <lutra/palette/spec.hpp>
#include <lutra/tensor/view.hpp>
#include <string>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

enum class palettize_mode : unsigned char {
  certified,      // large groups: inertia proven to be within max_gap of the optimum; else exact
  exact,          // the global optimum
  reference_fast  // the reference's default with its rounding (palette/reference_fast.hpp)
};

struct palettize_options {
  palettize_mode mode = palettize_mode::certified;
  // Proven inertia / optimum - 1 that `certified` asks for; 0: 1e-4 up to 16 entries, else 1e-2.
  double max_gap = 0;
  // Positive weight of every element in the objective, of the weight's shape; none: all 1.
  tensor_view<const float> importance{};
  // With per-channel scale, weigh the normalised values by scale^2, which makes the objective the
  // error of the weight itself. false: the error of the normalised values (the reference's choice).
  bool scale_squared_importance = true;
  int rounding_precision = 4;       // decimals kept by reference_fast, 1..38
  std::string where = "palettize";  // names the tensor in error messages
  progress_callback progress{};
};

// Elements whose arithmetic is float or double, or that convert to float without loss.
template <class E>
concept weight_element = std::floating_point<E> ||
    (!std::is_arithmetic_v<E> && requires(const E& e) { static_cast<float>(e); });

// Palettizes the groups of one dense weight into a palette whose vectors have their final size. E is the
// element type of the weight, converted to float (double stays) without loss.
template <weight_element E, class A = simd::native> class group_palettizer {
 public:
  using value_type = std::conditional_t<std::same_as<E, double>, double, float>;

  group_palettizer(std::span<const value_type> weight, std::span<const float> importance,
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

  // Runs on the calling thread, but for large groups, whose passes `executor` may share.
  template <executor Executor = serial_executor>
  void operator()(index_t group, const Executor& executor = {}) const {
    const auto g = static_cast<std::size_t>(group);
    std::vector<float> table;
    if (!cluster_large(group, executor, table)) {
      std::vector<double> values, weights;
      gather(group, values, weights);
      double bound = 0;
      table = options_.mode == palettize_mode::reference_fast
                  ? cluster_as_reference(group, values, weights)
                  : cluster_optimally(group, values, weights, bound);
      out_.inertia[g] = measure_error(group, table);
      out_.lower_bound[g] = std::min(out_.inertia[g], bound);
    }
    store_table(g, table);
    out_.used_entries[g] = 1;
    for (std::size_t k = 1; k < table.size(); ++k) {
      out_.used_entries[g] += table[k] != table[k - 1] ? 1 : 0;
    }
    out_.error[g] = out_.inertia[g];
    if (spec_.lut_qspec.enabled) quantize_table(group, table);
  }

 private:
  // A large group of plain floats by counting. false: nothing was done, because the group is small,
  // weighted or of another type.
  template <executor Executor>
  bool cluster_large(index_t group, const Executor& executor, std::vector<float>& table) const {
    if constexpr (!std::same_as<value_type, float>) {
      return false;
    } else {
      const group_elements<float> elements(weight_, grid_, group);
      if (options_.mode != palettize_mode::certified || !importance_.empty() ||
          !out_.row_scale.empty() || elements.size() < large_group) {
        return false;
      }
      const double usual_gap = out_.entries() <= 16 ? 1e-4 : 1e-2;
      const double gap = options_.max_gap > 0 ? options_.max_gap : usual_gap;
      large_palette p = palettize_large<A>(elements.values(), out_.entries(), gap,
                                           elements.place_for(out_.codes), executor);
      elements.move_to(out_.codes);
      const auto g = static_cast<std::size_t>(group);
      out_.inertia[g] = p.inertia;
      out_.lower_bound[g] = p.lower_bound;
      out_.status[g] = p.inertia <= (1 + gap) * p.lower_bound ? palette_status::certified
                                                              : palette_status::not_certified;
      table = std::move(p.table);
      return true;
    }
  }

  // The optimal table, and the nearest entry for every element. `bound` becomes the optimum.
  std::vector<float> cluster_optimally(index_t group, std::span<const double> values,
                                       std::span<const double> weights, double& bound) const {
    atoms_1d atoms = make_atoms(values, weights);
    const int e = common_exponent(atoms.value);
    for (double& x : atoms.value) x = std::ldexp(x, -e);
    const atom_clusters clusters = cluster_atoms<A>(atoms, out_.entries());
    std::vector<float> table;
    for (const double c : clusters.centroids) {
      const auto entry = static_cast<float>(std::ldexp(c, e));
      if (table.empty() || table.back() != entry) table.push_back(entry);
    }
    const std::vector<double> wide(table.begin(), table.end());
    const std::vector<double> mids = midpoints_of(wide);
    std::size_t next = 0;
    for_each_position(group, [&](index_t i) {
      out_.codes[static_cast<std::size_t>(i)] =
          static_cast<std::uint8_t>(nearest_index(mids, values[next++]));
    });
    out_.status[static_cast<std::size_t>(group)] = palette_status::optimal;
    // Without scale^2 the clustering minimises something else than the inertia that is reported.
    const bool same_objective = out_.row_scale.empty() || options_.scale_squared_importance;
    bound = same_objective ? std::ldexp(clusters.inertia, 2 * e) : 0.0;
    return table;
  }

  std::vector<float> cluster_as_reference(index_t group, std::span<const double> values,
                                          std::span<const double> weights) const {
    const reference_1d_result r =
        reference_fast(values, weights, out_.entries(), options_.rounding_precision);
    std::size_t next = 0;
    for_each_position(group, [&](index_t i) {
      out_.codes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(r.codes[next++]);
    });
    std::vector<float> table;
    for (const double c : r.centroids) table.push_back(in_weight_type(c));
    out_.status[static_cast<std::size_t>(group)] = palette_status::unproven;
    return table;
  }

  static float in_weight_type(double x) noexcept {
    if constexpr (std::floating_point<E>)
      return static_cast<float>(x);
    else
      return static_cast<float>(E(static_cast<float>(x)));
  }

  static double normalised_as_reference(value_type x, float scale) noexcept {
    const value_type y = x / static_cast<value_type>(scale);
    if constexpr (std::floating_point<E>)
      return static_cast<double>(y);
    else
      return static_cast<double>(static_cast<float>(E(y)));
  }

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
    const bool as_reference = options_.mode == palettize_mode::reference_fast;
    const bool squared = scaled && options_.scale_squared_importance && !as_reference;
    for_each_position(group, [&](index_t i) {
      const value_type x = weight_[static_cast<std::size_t>(i)];
      const float s = row_scale(i);
      if (!scaled) {
        values.push_back(static_cast<double>(x));
      } else if (as_reference) {  // normalises in the weight's type
        values.push_back(normalised_as_reference(x, s));
      } else {
        values.push_back(static_cast<double>(x) / static_cast<double>(s));
      }
      if (importance_.empty() && !squared) return;
      const auto wide = static_cast<double>(s);
      weights.push_back(squared ? importance(i) * (wide * wide) : importance(i));
    });
  }

  void store_table(std::size_t g, std::span<const float> table) const {
    const auto entries = static_cast<std::size_t>(out_.entries());
    for (std::size_t k = 0; k < entries; ++k) {
      out_.lut[g * entries + k] = table[std::min(k, table.size() - 1)];
    }
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
    for (const std::uint8_t code : q.codes) values.push_back(lut_value(q.scale, code));
    const auto entries = static_cast<std::size_t>(out_.entries());
    for (std::size_t k = 0; k < entries; ++k) {
      out_.lut_codes[g * entries + k] = q.codes[std::min(k, q.codes.size() - 1)];
    }
    out_.scale[g] = q.scale.scale;
    if (!out_.zero_point.empty()) out_.zero_point[g] = q.scale.zero_point;
    store_table(g, values);
    for (std::size_t k = 1; k < values.size(); ++k) {
      const bool lost = values[k] == values[k - 1] && table[k] != table[k - 1];
      out_.collapsed_entries[g] += lost ? 1 : 0;
    }
    out_.error[g] = measure_error(group, values);
  }

  std::span<const value_type> weight_;
  std::span<const float> importance_;
  const palettization_spec& spec_;
  const palettize_options& options_;
  const block_grid& grid_;
  std::size_t row_;  // elements per index of axis 0
  palette<float>& out_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
