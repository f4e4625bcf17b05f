// lutra: options.hpp - palettize_options: how a palette is looked for, beside what it shall be.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <lutra/cluster/pattern_counts.hpp>
#include <lutra/core/progress.hpp>
#include <lutra/tensor/view.hpp>
#include <string>
#include <type_traits>

namespace lutra::inline LUTRA_ABI {

enum class palettize_mode : unsigned char {
  certified,       // large groups: inertia proven to be within max_gap of the optimum; else exact
  exact,           // the global optimum, proven to 1e-9 of itself
  reference_fast,  // the reference's default with its rounding (palette/reference_fast.hpp)
  // The reference's exact mode: its solver on the values as they are (cluster/reference_1d.hpp, 4 bytes per element
  // and entry). With fewer distinct values than entries and elements the lowest entries are unused and 0, whatever
  // the order (not for float16 weights); the table is not canonical then.
  reference_exact
};

constexpr bool of_reference(palettize_mode mode) noexcept {
  return mode == palettize_mode::reference_fast || mode == palettize_mode::reference_exact;
}

// What to do about NaN and infinite weights.
enum class non_finite_values : unsigned char {
  error,  // raise non_finite, naming how many and the first position
  ignore  // leave them out of the clustering; NaN gets the entry nearest to 0, infinity the last one
};

struct palettize_options {
  palettize_mode mode = palettize_mode::certified;
  // Proven inertia / optimum - 1 that `certified` asks for of large groups; 0: 1e-4 up to 16 entries, else 1e-2.
  // What it finds is as a rule far better. Its small groups are optimal but for rounding, which is as a rule below
  // 1e-10 of the inertia and proven to be below 1e-5 of it, above 32 entries 1e-3.
  double max_gap = 0;
  // Positive weight of every element in the objective, of the weight's shape; none: all 1.
  tensor_view<const float> importance{};
  // With per-channel scale, weigh the normalised values by scale^2, which makes the objective the
  // error of the weight itself. false: the error of the normalised values (the reference's choice).
  bool scale_squared_importance = true;
  non_finite_values non_finite = non_finite_values::error;
  int rounding_precision = 4;       // decimals kept by reference_fast, 1..38
  std::string where = "palettize";  // names the tensor in error messages
  progress_callback progress{};

  // Above this, proven, the status says not_certified.
  double gap_for(int entries) const noexcept {
    if (mode == palettize_mode::exact) return 1e-9;
    const double usual = entries <= 16 ? 1e-4 : 1e-2;
    return max_gap > 0 ? max_gap : usual;
  }
};

// Elements whose arithmetic is float or double, or that convert to float without loss.
template <class E>
concept weight_element = std::floating_point<E> ||
    (!std::is_arithmetic_v<E> && requires(const E& e) { static_cast<float>(e); });

// How palettize keeps the elements of a weight: double, float, or 16-bit floats as they are.
template <class E> struct stored_as { using type = float; };
template <> struct stored_as<double> { using type = double; };
template <float16_pattern E> struct stored_as<E> { using type = E; };
template <weight_element E> using stored_element = typename stored_as<E>::type;

}  // namespace lutra::inline LUTRA_ABI
