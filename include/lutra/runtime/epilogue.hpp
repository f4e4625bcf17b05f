// lutra: epilogue.hpp - what happens to an int32 sum: requantize to 8 bits, or dequantize to float.
// SPDX-License-Identifier: Apache-2.0
//
//   requantize  q = clamp(round_half_even((float(acc + bias) + rest) * multiplier) + zero_point, lo, hi)
//   dequantize  y = (float(acc + bias) + rest) * multiplier
// One multiplier, bias and rest per output row; layer_epilogue.hpp makes them of scales and a float bias, of which rest
// is what an integer loses. relu is lo = zero_point; of uint8 outputs set lo = 0 and hi = 255.
// acc + bias wraps modulo 2^32. Each float operation is rounded on its own: same bits everywhere. So while rest is at
// most 1/2, what is rounded to a code is off by at most 5 * 2^-24 of itself, whatever cancels in acc + bias: by less
// than 2^-13 of a step where it is no clamped code. Without rest it is off by up to multiplier / 2 steps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/core/error.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/simd/primitives.hpp>
#include <lutra/tensor/overlap.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct requantize {
  std::vector<float> multiplier{};   // [rows], finite, > 0
  std::vector<std::int32_t> bias{};  // [rows], or empty for none
  std::int32_t zero_point = 0;       // of the output
  std::int32_t lo = -128;            // within the output type
  std::int32_t hi = 127;
  std::vector<float> rest{};  // [rows], finite, of the bias; or empty for none
};

struct dequantize_rows {
  std::vector<float> multiplier{};   // [rows], finite, > 0
  std::vector<std::int32_t> bias{};  // [rows], or empty for none
  std::vector<float> rest{};         // [rows], finite, of the bias; or empty for none
};

// The exact sums themselves.
struct keep_sums {};

template <class E>
concept row_epilogue = std::is_same_v<E, requantize> || std::is_same_v<E, dequantize_rows>;
template <class E>
concept sum_epilogue = row_epilogue<E> || std::is_same_v<E, keep_sums>;

inline void check_rows(const std::vector<float>& multiplier, const std::vector<std::int32_t>& bias,
                       index_t rows, std::string_view where) {
  const std::string at(where);
  const auto count = [&](const char* what, std::size_t got) {
    if (static_cast<index_t>(got) == rows) return;
    raise(errc::shape_mismatch, std::string(what) + " needs one entry per output row", at,
          text_of(static_cast<index_t>(got)), text_of(rows));
  };
  count("multiplier", multiplier.size());
  if (!bias.empty()) count("bias", bias.size());
  for (std::size_t row = 0; row < multiplier.size(); ++row) {
    const float m = multiplier[row];
    if (m > 0.0F && is_finite(m)) continue;
    raise(errc::invalid_argument, "multiplier is not a positive finite number", at,
          text_of(m) + " in row " + text_of(static_cast<index_t>(row)), "> 0");
  }
}

inline void check_rest(const std::vector<float>& rest, index_t rows, std::string_view where) {
  if (rest.empty()) return;
  if (static_cast<index_t>(rest.size()) != rows) {
    raise(errc::shape_mismatch, "rest of the bias needs one entry per output row",
          std::string(where), text_of(static_cast<index_t>(rest.size())), text_of(rows));
  }
  const auto bad = std::ranges::find_if_not(rest, [](float x) { return is_finite(x); });
  if (bad == rest.end()) return;
  raise(errc::invalid_argument, "rest of the bias is not finite", std::string(where),
        text_of(*bad) + " in row " + text_of(static_cast<index_t>(bad - rest.begin())), "finite");
}

template <row_epilogue E, class Out>
void check_row_vectors(const E& e, index_t rows, const tensor_view<Out>& out,
                       std::string_view where) {
  check_rows(e.multiplier, e.bias, rows, where);
  check_rest(e.rest, rows, where);
  check_apart(e.multiplier, out, "multiplier", where);
  check_apart(e.bias, out, "bias", where);
  check_apart(e.rest, out, "rest of the bias", where);
}

// Raises shape_mismatch or invalid_argument, also where out lies in the memory of the epilogue's vectors.
template <class Out>
void check_epilogue(const keep_sums&, index_t, const tensor_view<Out>&, std::string_view) {
  static_assert(std::is_same_v<Out, std::int32_t>, "sums are int32");
}
template <class Out>
void check_epilogue(const dequantize_rows& e, index_t rows, const tensor_view<Out>& out,
                    std::string_view where) {
  static_assert(std::is_same_v<Out, float>, "dequantized outputs are float");
  check_row_vectors(e, rows, out, where);
}
template <class Out>
void check_epilogue(const requantize& e, index_t rows, const tensor_view<Out>& out,
                    std::string_view where) {
  static_assert(std::is_same_v<Out, std::int8_t> || std::is_same_v<Out, std::uint8_t>,
                "requantized outputs are int8 or uint8");
  check_row_vectors(e, rows, out, where);
  constexpr std::int32_t lowest = std::is_signed_v<Out> ? -128 : 0;
  constexpr std::int32_t highest = std::is_signed_v<Out> ? 127 : 255;
  const auto field = [&](const char* name, std::int32_t x, std::int32_t from, std::int32_t to) {
    if (x >= from && x <= to) return;
    raise(errc::invalid_argument, std::string(name) + " out of range", std::string(where),
          text_of(x), range_text(from, to));
  };
  field("zero_point", e.zero_point, lowest, highest);
  field("lo", e.lo, lowest, highest);
  field("hi", e.hi, e.lo, highest);
}

constexpr std::int32_t bias_of(const std::vector<std::int32_t>& bias, index_t row) noexcept {
  return bias.empty() ? 0 : bias[to_size(row)];
}
constexpr float rest_of(const std::vector<float>& rest, index_t row) noexcept {
  return rest.empty() ? 0.0F : rest[to_size(row)];
}

// Constants of the rounding step; nothing unless the epilogue requantizes. uint8 outputs are made as
// int8 ones and flipped.
template <class A, class Epilogue, class Out> struct row_rounding {
  explicit row_rounding(const Epilogue&) {}
};
template <class A, class Out> struct row_rounding<A, requantize, Out> {
  static constexpr int shift = std::is_unsigned_v<Out> ? 128 : 0;
  explicit row_rounding(const requantize& e)
      : limits(simd::limits(e.zero_point - shift, e.lo - shift, e.hi - shift, A{})),
        highest(splat_floats(static_cast<float>(e.hi - e.zero_point), A{})) {}
  decltype(simd::limits(0, 0, 0, A{})) limits;
  simd::floats_of<A> highest;
};

}  // namespace lutra::inline LUTRA_ABI
