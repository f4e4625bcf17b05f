#include <doctest/doctest.h>

#include <array>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>

#include "backward_executor.hpp"
#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/output_memory.hpp"
#include "runtime/palettes.hpp"
#include "runtime/sums.hpp"

using namespace lutra;

namespace {

template <class X> bool all_levels_agree(const packed_palette& p, const tensor<X>& x) {
  return test::products_agree(p, x, [](const auto& f) { for_each_kernel_level(f); },
                              {.three_bits_from = x.extent(0) % 2 * (1 << 20)});
}

// One epilogue of random constants at every level: outputs of type Out, fenced and misaligned, from an input that ends at
// a guard page. `one(sum, bias, multiplier)` is the definition.
template <class Out, class X, class Epilogue, class F>
bool epilogue_agrees(random_stream& r, const packed_palette& p, const tensor<X>& x, Epilogue e,
                     const F& one) {
  const index_t m = x.extent(0), rows = p.weight_shape[0];
  for (index_t i = 0; i < rows; ++i) {
    e.multiplier.push_back(static_cast<float>(0.0001 + 0.01 * r.uniform()));
    e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -9999, 9999)));
    e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
  }
  if (r.below(2) == 0) e.rest.clear();
  const auto exact = test::sums(p, x);
  test::guarded<X> input(x.size());
  std::ranges::copy(x.elements(), input.data());
  bool good = true;
  for_each_kernel_level([&](auto level) {
    test::fenced<Out> out(m * rows, 1 + (rows + m) % 5);
    gemm(make_lut_matrix(p, level), tensor_view<const X>(input.data(), x.extents()), e,
         tensor_view<Out>(out.data(), shape{m, rows}), level);
    bool same = out.intact();
    for (index_t i = 0; i < m * rows; ++i) {
      const auto row = static_cast<std::size_t>(i % rows);
      same = same && out.data()[i] ==
                         one(exact[i], e.bias[row], e.multiplier[row], rest_of(e.rest, i % rows));
    }
    if (!same) {
      good = false;
      MESSAGE("level " << std::string(decltype(level)::name) << ", " << text_of(p.weight_shape)
                       << ", m " << m << ", bytes of an output " << sizeof(Out));
    }
  });
  return good;
}

// A matrix of one entry per table, table[g % 2] in group g of rows; its codes are any.
packed_palette extreme_palette(const shape& s, int bits, index_t group_rows,
                               std::array<int, 2> table) {
  packed_palette p;
  p.weight_shape = s;
  p.block = s.with(0, group_rows);
  p.n_bits = bits;
  p.codes.resize(static_cast<std::size_t>(packed_bytes(s.size(), bits)));
  for (std::size_t i = 0; i < p.codes.size(); ++i) p.codes[i] = static_cast<std::uint8_t>(i * 157);
  const auto groups = static_cast<std::size_t>((s[0] + group_rows - 1) / group_rows);
  for (std::size_t g = 0; g < groups; ++g) {
    p.lut_codes.insert(p.lut_codes.end(), std::size_t{1} << bits,
                       static_cast<std::uint8_t>(table[g % 2]));
  }
  p.scale.assign(groups, 1.0F);
  return p;
}

// A whole panel and one row more, in every block of columns; rows of x are of one extreme each.
template <class X> void check_extremes(std::array<int, 2> table, index_t depth) {
  constexpr int values[3] = {std::is_signed_v<X> ? -128 : 255, std::is_signed_v<X> ? 127 : 0,
                             std::is_signed_v<X> ? -127 : 255};
  tensor<X> x(shape{13, depth});
  for (index_t m = 0; m < 13; ++m) {
    std::fill_n(x.data() + m * depth, depth, static_cast<X>(values[m % 3]));
  }
  const auto check = [&](int bits, index_t group_rows, std::array<int, 2> entries, auto level) {
    using level_type = decltype(level);
    const index_t rows = panel_strips * simd::int_lanes<level_type> + 1;
    const index_t group = group_rows > 0 ? group_rows : rows;
    const lut_matrix w = make_lut_matrix(extreme_palette(shape{rows, depth}, bits, group, entries),
                                         level, {.three_bits_from = 0});
    CHECK(depth <= w.max_depth<X>());
    constexpr index_t parts[][2] = {{0, 1}, {1, 1}, {0, 2}, {1, 3}, {2, 4}, {1, 8}, {0, 13}};
    for (const auto& part : parts) {  // rows of x
      const index_t first = part[0], m = part[1];
      tensor<std::int32_t> out(shape{m, rows});
      gemm(w, tensor_view<const X>(x.data() + first * depth, shape{m, depth}), out, level);
      bool good = true;
      for (index_t i = 0; i < m * rows; ++i) {
        const std::int64_t weight = entries[static_cast<std::size_t>(i % rows / group % 2)];
        good = good && out[i] == weight * values[(first + i / rows) % 3] * depth;
      }
      CHECK_MESSAGE(good, "level " << std::string(level_type::name) << ", " << bits << " bits, m "
                                   << m << ", depth " << depth << ", group " << group);
    }
  };
  for_each_kernel_level([&](auto level) {
    for (const int bits : {2, 3, 4, 6, 8}) {
      if ((test::quick() || !std::is_signed_v<X>)&&bits % 4 != 0) continue;
      check(bits, 0, {table[0], table[0]}, level);
      if (bits % 4 == 0) check(bits, 4, table, level);  // tables per strip, or weights as they are
    }
  });
}

}  // namespace

TEST_CASE("gemm: every row and depth tail, at every level, equals the reference") {
  random_stream r(1);
  const index_t step = test::quick() ? 7 : 1;
  bool good = true;
  for (index_t rows = 1; rows <= 40; rows += step) {
    for (index_t depth = 1; depth <= 40; depth += step) {
      const auto p = test::random_palette(r, shape{rows, depth}, {});
      good = all_levels_agree(p, test::random_tensor<std::int8_t>(r, shape{3, depth})) && good;
    }
  }
  CHECK(good);
}

TEST_CASE("gemm: widths of 1 to 8 bits, groups with a short last one, zero points, uint8") {
  random_stream r(2);
  bool good = true;
  for (int bits = 1; bits <= 8; ++bits) {
    for (const index_t group : {0, 1, 2, 3, 4, 7, 12, 16, 64}) {
      for (const int lowest : {-127, -128}) {
        const index_t rows = test::pick(r, 1, 150), depth = test::pick(r, 1, 130);
        const auto p = test::random_palette(
            r, shape{rows, depth},
            {.bits = bits, .group_rows = group, .lowest = lowest, .zero_points = group % 2 == 1});
        const index_t m = test::pick(r, 1, 9);
        good = all_levels_agree(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
        good = all_levels_agree(p, test::random_tensor<std::uint8_t>(r, shape{m, depth})) && good;
      }
    }
  }
  CHECK(good);
}

TEST_CASE("gemm: every number of columns, and more than one chunk of them") {
  random_stream r(3);
  bool good = true;
  for (index_t m = 1; m <= 35; m += test::quick() ? 9 : 1) {
    for (const index_t rows : {5, 70}) {
      const auto p = test::random_palette(r, shape{rows, 65}, {.lowest = m % 2 ? -127 : -128});
      good = all_levels_agree(p, test::random_tensor<std::int8_t>(r, shape{m, 65})) && good;
    }
  }
  if (!test::quick()) {  // 256 KiB of activations make a chunk
    const auto p = test::random_palette(r, shape{20, 6001}, {});
    good = all_levels_agree(p, test::random_tensor<std::int8_t>(r, shape{101, 6001})) && good;
  }
  CHECK(good);
}

TEST_CASE("gemm: extreme weights and activations, up to the longest exact depth") {
  for (const std::array<int, 2> table : {std::array{-128, 127}, {127, -127}, {-127, 127}}) {
    check_extremes<std::int8_t>(table, 1024);
  }
  check_extremes<std::int8_t>({-128, 127}, 131071);
  check_extremes<std::uint8_t>({-128, 127}, 65793);
  if (test::quick()) return;
  check_extremes<std::int8_t>({127, -127}, 131071);  // small weights
  check_extremes<std::uint8_t>({127, -127}, 65793);
}

TEST_CASE("gemm: epilogues at every tail of rows, at every level, equal the reference") {
  random_stream r(4);
  bool good = true;
  const auto requantized = [](const requantize& e) {
    return [e](std::int32_t sum, std::int32_t bias, float multiplier, float rest) {
      return reference::requantize(sum, bias, multiplier, e.zero_point, e.lo, e.hi, rest);
    };
  };
  const requantize bytes{.multiplier = {}, .bias = {}, .zero_point = -3, .lo = -100, .hi = 127};
  const requantize unsigned_bytes{
      .multiplier = {}, .bias = {}, .zero_point = 131, .lo = 2, .hi = 250};
  for (index_t rows = 1; rows <= 67; rows += test::quick() ? 11 : 1) {
    const index_t depth = test::pick(r, 1, 70), m = test::pick(r, 1, 9);
    const auto p = test::random_palette(r, shape{rows, depth},
                                        {.group_rows = rows % 3 * 4, .zero_points = rows % 2 == 0});
    const auto x = test::random_tensor<std::int8_t>(r, shape{m, depth});
    const auto u = test::random_tensor<std::uint8_t>(r, shape{m, depth});
    good = epilogue_agrees<std::int8_t>(r, p, x, bytes, requantized(bytes)) && good;
    good =
        epilogue_agrees<std::uint8_t>(r, p, u, unsigned_bytes, requantized(unsigned_bytes)) && good;
    good = epilogue_agrees<float>(r, p, x, dequantize_rows{}, reference::dequantize) && good;
  }
  CHECK(good);
}

TEST_CASE("gemm: strided views, in and out") {
  random_stream r(5);
  const auto p = test::random_palette(r, shape{37, 29}, {});
  const auto wide = test::random_tensor<std::int8_t>(r, shape{10, 60});
  // Every second row, backwards; every second element.
  const std::array<index_t, 2> strides{-120, 2};
  const tensor_view<const std::int8_t> x(wide.data() + 8 * 60, shape{5, 29}, strides);
  const auto dense = tensor<std::int8_t>::copy_of(x);
  const auto expected = test::sums(p, dense);
  for_each_kernel_level([&](auto level) {
    const lut_matrix w = make_lut_matrix(p, level);
    tensor<std::int32_t> transposed(shape{37, 5});
    const std::array<index_t, 2> columns{1, 5};
    const tensor_view<std::int32_t> out(transposed.data(), shape{5, 37}, columns);
    gemm(w, x, out, level);
    CHECK(tensor<std::int32_t>::copy_of(out) == expected);
    // Broadcast: a stride of zero.
    const std::array<index_t, 2> same_row{0, 1};
    tensor<std::int32_t> repeated(shape{5, 37});
    gemm(w, tensor_view<const std::int8_t>(dense.data(), shape{5, 29}, same_row), repeated, level);
    for (index_t i = 0; i < repeated.size(); ++i) CHECK(repeated[i] == expected[i % 37]);
  });
}

TEST_CASE("gemm: empty matrices and batches") {
  random_stream r(6);
  for_each_kernel_level([&](auto level) {
    for (const shape& s : {shape{0, 5}, shape{5, 0}, shape{0, 0}, shape{5, 3}}) {
      const lut_matrix w = make_lut_matrix(test::random_palette(r, s, {}), level);
      for (const index_t m : {0, 3}) {
        tensor<std::int8_t> x(shape{m, s[1]});
        tensor<std::int32_t> out(shape{m, s[0]},
                                 std::vector<std::int32_t>(static_cast<std::size_t>(m * s[0]), 9));
        gemm(w, x, out, level);
        for (const std::int32_t y : out.elements()) CHECK(y == 0);
      }
    }
  });
}

TEST_CASE("gemm: gemv is gemm of one row; an executor changes nothing") {
  random_stream r(7);
  const auto p = test::random_palette(r, shape{300, 50}, {.group_rows = 8});
  const auto x = test::random_tensor<std::int8_t>(r, shape{1, 50});
  const lut_matrix w = make_lut_matrix(p);
  const auto expected = test::sums(p, x);
  std::vector<std::int32_t> y(300);
  gemv(w, x.elements(), y);
  CHECK(y == expected.elements());
  tensor<std::int32_t> out(shape{1, 300});
  gemm(test::backward_executor{}, w, x, out);
  CHECK(out == expected);
  std::vector<float> scaled(300);
  gemv(w, x.elements(), dequantize_rows{std::vector<float>(300, 0.5F), {}}, scaled);
  CHECK(scaled[7] == static_cast<float>(y[7]) * 0.5F);
}

TEST_CASE("gemm: shapes, depth and level are checked before anything is written") {
  random_stream r(8);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{4, 6}, {}));
  tensor<std::int8_t> x(shape{2, 6});
  tensor<std::int32_t> out(shape{2, 4});
  CHECK_ERROR(gemm(w, tensor<std::int8_t>(shape{2, 5}), out), shape_mismatch, "gemm", "[2, 5]",
              "[m, 6]");
  CHECK_ERROR(gemm(w, tensor<std::int8_t>(shape{12}), out), shape_mismatch, "[12]");
  tensor<std::int32_t> short_out(shape{2, 3});
  CHECK_ERROR(gemm(w, x, short_out), shape_mismatch, "[2, 3]", "[2, 4]");
  tensor<std::int32_t> both(shape{8});
  const auto* bytes = reinterpret_cast<const std::int8_t*>(both.data());
  CHECK_ERROR(gemm(w, tensor_view<const std::int8_t>(bytes, shape{1, 6}),
                   tensor_view<std::int32_t>(both.data() + 1, shape{1, 4})),
              invalid_argument, "gemm", "out overlaps x");
  const tensor<std::int8_t> five(shape{5}), six(shape{6});
  tensor<std::int32_t> three(shape{3}), four(shape{4});
  const dequantize_rows to_float{std::vector<float>(4, 1.0F), {}};
  tensor<float> float_four(shape{4});
  CHECK_ERROR(gemv(w, five, four), shape_mismatch, "x does not match",
              "(gemv): got [5], allowed: [6]");
  CHECK_ERROR(gemv(w, six, three), shape_mismatch, "out does not", "(gemv): got [3], allowed: [4]");
  CHECK_ERROR(gemv(w, x, short_out), shape_mismatch, "x does not match",
              "(gemv): got [2, 6], allowed: [6]");
  CHECK_ERROR(gemv(w, six, out), shape_mismatch, "out does not",
              "(gemv): got [2, 4], allowed: [4]");
  CHECK_ERROR(gemv(w, five, to_float, float_four), shape_mismatch, "x does not", "(gemv): got [5]");
  CHECK_ERROR(gemv(w, six, dequantize_rows{}, float_four), shape_mismatch, "(gemv)");
  CHECK_ERROR(gemv(w, tensor_view<const std::int8_t>(bytes, shape{6}),
                   tensor_view<std::int32_t>(both.data() + 1, shape{4})),
              invalid_argument, "out overlaps x", "gemv");
  const lut_matrix deep = make_lut_matrix(test::random_palette(r, shape{1, 131072}, {.bits = 1}));
  tensor<std::int32_t> one(shape{1, 1});
  CHECK_ERROR(gemm(deep, tensor<std::int8_t>(shape{1, 131072}), one), unsupported, "131072",
              "131071");
  const lut_matrix less = make_lut_matrix(test::random_palette(r, shape{1, 65794}, {.bits = 1}));
  gemm(less, tensor<std::int8_t>(shape{1, 65794}), one);
  CHECK_ERROR(gemm(less, tensor<std::uint8_t>(shape{1, 65794}), one), unsupported, "65794",
              "65793");
  if constexpr (!std::is_same_v<simd::native, simd::portable>) {
    CHECK_ERROR(gemm(w, x, out, simd::portable{}), incompatible, "another level", "portable");
    CHECK_ERROR(gemv(w, six, four, simd::portable{}), incompatible, "another level (gemv)");
  }
}

TEST_CASE("gemm: out is aligned and does not overlap itself") {
  random_stream r(9);
  const index_t rows = 70;
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{rows, 8}, {}));
  const auto x = test::random_tensor<std::int8_t>(r, shape{3, 8});
  const auto row = test::random_tensor<std::int8_t>(r, shape{8});
  const std::vector<float> multiplier(static_cast<std::size_t>(rows), 0.5F);
  const dequantize_rows to_float{multiplier, {}};
  const requantize to_bytes{multiplier, {}};
  const shape matrix{3, rows}, vector{rows};
  test::check_output_memory<std::int32_t>(matrix, [&](auto out) { gemm(w, x, out); });
  test::check_output_memory<float>(matrix, [&](auto out) { gemm(w, x, to_float, out); });
  test::check_output_memory<std::int8_t>(matrix, [&](auto out) { gemm(w, x, to_bytes, out); });
  test::check_output_memory<std::int32_t>(vector, [&](auto out) { gemv(w, row, out); });
  test::check_output_memory<float>(vector, [&](auto out) { gemv(w, row, to_float, out); });
  test::check_output_memory<std::int8_t>(vector, [&](auto out) { gemv(w, row, to_bytes, out); });
}

TEST_CASE("gemm: out lies apart from the epilogue's vectors") {
  random_stream r(10);
  const index_t rows = 8;
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{rows, 8}, {}));
  const auto x = test::random_tensor<std::int8_t>(r, shape{1, 8});
  const std::vector<float> multiplier(static_cast<std::size_t>(rows), 0.5F);
  const std::vector<std::int32_t> bias(static_cast<std::size_t>(rows), 3);
  dequantize_rows to_float{multiplier, bias};
  requantize to_bytes{multiplier, bias};
  const shape one{1, rows};
  const tensor_view<float> over_multiplier(to_float.multiplier.data(), one);
  CHECK_ERROR(gemm(w, x, to_float, over_multiplier), invalid_argument, "out overlaps multiplier",
              "gemm");
  const tensor_view<std::int8_t> over_bias(
      reinterpret_cast<std::int8_t*>(to_bytes.bias.data()) + 4 * rows - 1, one);
  CHECK_ERROR(gemm(w, x, to_bytes, over_bias), invalid_argument, "out overlaps bias", "gemm");
  const tensor_view<std::int8_t> over_scale(
      reinterpret_cast<std::int8_t*>(to_bytes.multiplier.data()), one);
  CHECK_ERROR(
      gemv(w, x.elements(), to_bytes, std::span(over_scale.data(), static_cast<std::size_t>(rows))),
      invalid_argument, "out overlaps multiplier");
  CHECK(to_float.multiplier == multiplier);
  CHECK(to_bytes.multiplier == multiplier);
  CHECK(to_bytes.bias == bias);
}
