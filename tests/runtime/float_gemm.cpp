#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <lutra/runtime/float_gemm.hpp>
#include <lutra/runtime/reference.hpp>

#include "backward_executor.hpp"
#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/output_memory.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

double wide(float x) { return static_cast<double>(x); }
constexpr float no_bound = std::numeric_limits<float>::infinity();

tensor<float> normal_tensor(random_stream& r, const shape& s, float scale = 1) {
  tensor<float> x(s);
  for (float& v : x.elements()) v = scale * static_cast<float>(r.normal());
  return x;
}
std::span<const float> row_of(const tensor<float>& x, index_t m) {
  return std::span(x.elements())
      .subspan(static_cast<std::size_t>(m * x.extent(1)), static_cast<std::size_t>(x.extent(1)));
}
float_output random_output(random_stream& r, index_t rows, bool bounded) {
  float_output o;
  for (index_t i = 0; i < rows; ++i) o.bias.push_back(static_cast<float>(r.normal() * 10));
  if (bounded) {
    o.lo = 0;
    o.hi = 40;
  }
  return o;
}

// The specification of gemm_float and gemm_dynamic.
tensor<float> expected_float(const packed_palette& p, const tensor<float>& x,
                             const float_output& o) {
  const index_t m = x.extent(0), depth = x.extent(1);
  tensor<std::int8_t> columns(shape{3 * m, depth});
  reference::to_float f{3, 0, {}, o.bias, o.lo, o.hi};
  for (index_t i = 0; i < m; ++i) {
    const auto d = reference::digits_of(row_of(x, i));
    f.x_scale.push_back(d.unit);
    std::ranges::copy(d.d0, columns.data() + 3 * i * depth);
    std::ranges::copy(d.d1, columns.data() + (3 * i + 1) * depth);
    std::ranges::copy(d.d2, columns.data() + (3 * i + 2) * depth);
  }
  tensor<float> out(shape{m, p.weight_shape[0]});
  reference::gemm<std::int8_t>(p, view(std::as_const(columns)), f, view(out));
  return out;
}
tensor<float> expected_dynamic(const packed_palette& p, const tensor<float>& x,
                               const float_output& o) {
  tensor<std::int8_t> q(x.extents());
  std::vector<quantized_row> rows(static_cast<std::size_t>(x.extent(0)));
  quantize_rows(view(x), view(q), rows);
  reference::to_float f{1, 0, {}, o.bias, o.lo, o.hi};
  for (const auto& row : rows) f.x_scale.push_back(row.scale);
  tensor<float> out(shape{x.extent(0), p.weight_shape[0]});
  reference::gemm<std::int8_t>(p, view(std::as_const(q)), f, view(out));
  return out;
}
bool same_bits(std::span<const float> a, const float* b) {
  return std::memcmp(a.data(), b, a.size() * sizeof(float)) == 0;
}

// Both products at every level, from memory that ends at a guard page into fenced, misaligned memory.
bool all_levels_agree(const packed_palette& p, const tensor<float>& x, const float_output& o) {
  const auto by_digits = expected_float(p, x, o);
  const auto dynamic = expected_dynamic(p, x, o);
  const index_t m = x.extent(0), rows = p.weight_shape[0];
  const shape s{m, rows};
  bool good = true;
  test::guarded<float> input(x.size());
  std::ranges::copy(x.elements(), input.data());
  const tensor_view<const float> in(input.data(), x.extents());
  for_each_kernel_level([&](auto level) {
    const auto w = make_grouped_lut_matrix(p, level, {.three_bits_from = 0});
    test::fenced<float> a(m * rows, 1 + (rows + m) % 3), b(m * rows, 2);
    gemm_float(w, in, o, tensor_view<float>(a.data(), s), level);
    gemm_dynamic(test::backward_executor{}, w, in, o, tensor_view<float>(b.data(), s), level);
    if (!same_bits(by_digits.elements(), a.data()) || !same_bits(dynamic.elements(), b.data()) ||
        !a.intact() || !b.intact()) {
      good = false;
      MESSAGE("level " << std::string(decltype(level)::name) << ", " << p.n_bits << " bits, "
                       << text_of(p.weight_shape) << " in " << text_of(p.block) << ", m " << m);
    }
  });
  return good;
}

}  // namespace

TEST_CASE("float_gemm: every row and depth tail, at every level, equals the reference") {
  random_stream r(1);
  const index_t step = test::quick() ? 7 : 1;
  bool good = true;
  for (index_t rows = 1; rows <= 40; rows += test::quick() ? 7 : 3) {
    for (index_t depth = 1; depth <= 70; depth += step) {
      const auto p = test::random_palette(r, shape{rows, depth}, {});
      const index_t m = 1 + (rows + depth) % 3;
      good = all_levels_agree(p, normal_tensor(r, shape{m, depth}),
                              random_output(r, rows, depth % 2 == 0)) &&
             good;
    }
  }
  CHECK(good);
}

TEST_CASE(
    "float_gemm: widths of 1 to 8 bits, groups along both axes, short last ones, zero points") {
  random_stream r(2);
  bool good = true;
  for (int bits = 1; bits <= 8; ++bits) {
    for (const index_t group : {0, 1, 3, 4, 16}) {
      for (const index_t columns : {0, 1, 5, 8, 32, 100}) {
        if (test::quick() && (bits + group + columns) % 3 != 0) continue;
        const index_t rows = test::pick(r, 1, 150), depth = test::pick(r, 1, 130);
        auto p = test::random_palette(r, shape{rows, depth},
                                      {.bits = bits,
                                       .group_rows = group,
                                       .lowest = columns == 8 ? -127 : -128,
                                       .zero_points = group % 2 == 1,
                                       .group_columns = columns});
        if (columns == 5) {
          for (index_t i = 0; i < rows; ++i) {
            p.row_scale.push_back(static_cast<float>(r.uniform() + 0.1));
          }
        }
        const index_t m = test::pick(r, 1, 11);
        good = all_levels_agree(p, normal_tensor(r, shape{m, depth}), float_output{}) && good;
      }
    }
  }
  CHECK(good);
}

TEST_CASE("float_gemm: more rows of x than one chunk, and a weight of four axes") {
  random_stream r(3);
  const auto p = test::random_palette(r, shape{37, 6, 3, 3}, {.group_columns = 4});
  CHECK(all_levels_agree(p, normal_tensor(r, shape{5, 54}), float_output{}));
  if (test::quick()) return;
  const auto deep = test::random_palette(r, shape{20, 30001}, {.group_columns = 4096});
  CHECK(all_levels_agree(deep, normal_tensor(r, shape{9, 30001}), float_output{}));
}

TEST_CASE("float_gemm: gemm_dynamic is quantize_rows, gemm and a product by both scales") {
  random_stream r(4);
  const auto p = test::random_palette(r, shape{45, 77}, {.group_rows = 8});
  const auto x = normal_tensor(r, shape{6, 77});
  const float_output o = random_output(r, 45, true);
  for_each_kernel_level([&](auto level) {
    using A = decltype(level);
    const lut_matrix w = make_lut_matrix(p, level);
    tensor<float> got(shape{6, 45}), whole(shape{6, 45});
    gemm_dynamic(w, x, o, got, level);
    tensor<std::int8_t> q(x.extents());
    std::vector<quantized_row> rows(6);
    quantize_rows<A>(view(x), view(q), rows);
    dequantize_rows by_row;
    for (index_t i = 0; i < 45; ++i) by_row.multiplier.push_back(w.row_scale(i));
    gemm(w, q, by_row, whole, level);
    for (index_t m = 0; m < 6; ++m) {
      for (index_t i = 0; i < 45; ++i) {
        const float product = whole[m * 45 + i] * rows[static_cast<std::size_t>(m)].scale;
        const volatile float scaled = product;  // not contracted
        const float y = scaled + o.bias[static_cast<std::size_t>(i)];
        CHECK(got[m * 45 + i] == std::min(std::max(y, o.lo), o.hi));
      }
    }
    // The same through gemm_scaled, row by row.
    for (index_t m = 0; m < 6; ++m) {
      tensor<float> row(shape{1, 45});
      gemm_scaled(w, tensor_view<const std::int8_t>(q.data() + m * 77, shape{1, 77}),
                  {.scale = rows[static_cast<std::size_t>(m)].scale}, o, row, level);
      CHECK(same_bits(row.elements(), got.data() + m * 45));
    }
  });
}

TEST_CASE("float_gemm: gemm_scaled takes int8 and uint8 with a zero point") {
  random_stream r(5);
  const auto check = [&](auto type, std::int32_t zero_point) {
    using X = decltype(type);
    const auto p = test::random_palette(
        r, shape{70, 41}, {.group_rows = 16, .zero_points = true, .group_columns = 12});
    const auto x = test::random_tensor<X>(r, shape{10, 41});
    const float_output o = random_output(r, 70, false);
    tensor<float> expected(shape{10, 70});
    reference::gemm<X>(p, view(std::as_const(x)),
                       {1, zero_point, std::vector<float>(10, 0.125F), o.bias, o.lo, o.hi},
                       view(expected));
    for_each_kernel_level([&](auto level) {
      tensor<float> out(shape{10, 70});
      gemm_scaled(test::backward_executor{}, make_grouped_lut_matrix(p, level), x,
                  {0.125F, zero_point}, o, out, level);
      CHECK(same_bits(expected.elements(), out.data()));
    });
  };
  for (const int z : {-128, 0, 3, 127}) check(std::int8_t{}, z);
  for (const int z : {0, 7, 128, 255}) check(std::uint8_t{}, z);
}

namespace {

// Codes of the floats y, by the specification of quantize().
template <class Out> tensor<Out> codes_of(const quantized_output& q, const tensor<float>& y) {
  const unit_params u{dtype::int8,
                      true,
                      q.scale,
                      static_cast<float>(q.zero_point),
                      0,
                      static_cast<float>(q.lo),
                      static_cast<float>(q.hi)};
  tensor<Out> out(y.extents());
  for (index_t i = 0; i < y.size(); ++i) out[i] = static_cast<Out>(encode_one(y[i], u));
  return out;
}

// 8-bit results of the three products at every level: the codes of their float results. `step`: of rows of out.
template <class Out>
void check_codes(random_stream& r, const packed_palette& p, quantized_output q, index_t step) {
  const index_t rows = p.weight_shape[0], depth = p.weight_shape[1];
  const auto x = normal_tensor(r, shape{5, depth});
  const auto codes = test::random_tensor<std::uint8_t>(r, shape{5, depth});
  const activation_scale scale{0.125F, 100};
  tensor<float> scaled(shape{5, rows});
  reference::gemm<std::uint8_t>(
      p, view(codes),
      {1, scale.zero_point, std::vector<float>(5, scale.scale), q.real.bias, q.real.lo, q.real.hi},
      view(scaled));
  const auto by_digits = codes_of<Out>(q, expected_float(p, x, q.real));
  const auto dynamic = codes_of<Out>(q, expected_dynamic(p, x, q.real));
  const auto by_scale = codes_of<Out>(q, scaled);
  for_each_kernel_level([&](auto level) {
    const auto w = make_grouped_lut_matrix(p, level);
    test::fenced<Out> memory(5 * rows * step, 3);
    const std::array<index_t, 2> strides{rows * step, step};
    const tensor_view<Out> out(memory.data(), shape{5, rows}, strides);
    gemm_float(test::backward_executor{}, w, x, q, out, level);
    CHECK(tensor<Out>::copy_of(out) == by_digits);
    gemm_dynamic(w, x, q, out, level);
    CHECK(tensor<Out>::copy_of(out) == dynamic);
    gemm_scaled(w, codes, scale, q, out, level);
    CHECK(tensor<Out>::copy_of(out) == by_scale);
    CHECK(memory.intact());
    const std::span<const std::uint8_t> last(codes.data() + 4 * depth,
                                             static_cast<std::size_t>(depth));
    std::vector<Out> y(static_cast<std::size_t>(rows));
    gemv_scaled(test::backward_executor{}, w, last, scale, q, y, level);
    CHECK(std::equal(y.begin(), y.end(), by_scale.data() + 4 * rows));
    gemv_dynamic(test::backward_executor{}, w, row_of(x, 4), q, y, level);
    CHECK(std::equal(y.begin(), y.end(), dynamic.data() + 4 * rows));
    gemv_float(test::backward_executor{}, w, row_of(x, 4), q, y, level);
    CHECK(std::equal(y.begin(), y.end(), by_digits.data() + 4 * rows));
  });
}

}  // namespace

TEST_CASE("float_gemm: 8-bit results are the codes of the float results, at every level") {
  random_stream r(11);
  for (const index_t rows : {1, 15, 67, 300, 1100}) {
    if (test::quick() && rows > 300) continue;
    auto p = test::random_palette(r, shape{rows, 70}, {.zero_points = true, .group_columns = 32});
    if (rows == 67) p.row_scale.assign(67, 0.75F);
    for (const index_t step : {1, 2}) {
      const float_output o = random_output(r, rows, step == 1);
      check_codes<std::int8_t>(r, p, {o, 7.0F, -3, -128, 127}, step);
      check_codes<std::uint8_t>(r, p, {o, 0.3F, 131, 5, 250}, step);
    }
  }
  // Scales that the fast loop leaves to element.hpp, a single code, ties.
  const auto p = test::random_palette(r, shape{37, 40}, {.group_columns = 9});
  check_codes<std::int8_t>(r, p, {{}, 1e-30F, 0, -128, 127}, 1);
  check_codes<std::int8_t>(r, p, {{}, 1e30F, 5, -128, 127}, 1);
  check_codes<std::uint8_t>(r, p, {{}, 1e-40F, 7, 9, 9}, 1);
  auto ties = p;
  std::ranges::fill(ties.scale, 1.0F);
  check_codes<std::int8_t>(r, ties, {{}, 0x1p8F, 0, -128, 127}, 1);
}

TEST_CASE("float_gemm: 8-bit results where the sums overflow") {
  random_stream r(12);
  // Two blocks of 1e38 with opposite signs and a third: infinity minus infinity.
  auto p = test::random_palette(r, shape{2, 12}, {.bits = 1, .group_columns = 4});
  std::ranges::fill(p.lut_codes, std::uint8_t{127});
  std::ranges::fill(p.scale, 1e38F);
  tensor<std::int8_t> x(shape{1, 12});
  std::ranges::fill(x.elements(), std::int8_t{100});
  const auto result = [&](const quantized_output& q = {{}, 1, -7, -100, 100}) {
    tensor<std::int8_t> out(shape{1, 2});
    gemm_scaled(make_grouped_lut_matrix(p), x, {}, q, out);
    CHECK(out[0] == out[1]);
    return int{out[0]};
  };
  CHECK(result() == 100);
  for (index_t k = 4; k < 8; ++k) x[k] = -100;
  CHECK(result() == -7);  // NaN: its code is within the bounds, unlike that of quantize()
  for (const float scale : {1.0F, 1e-30F}) {
    CHECK(result({{}, scale, -120, -100, 100}) == -100);
    CHECK(result({{}, scale, 120, 0, 100}) == 100);
  }
  for (index_t k = 0; k < 12; ++k) x[k] = -100;
  CHECK(result() == -100);
}

TEST_CASE("float_gemm: without an output the floats are those of float_output{}") {
  random_stream r(11);
  const auto p = test::random_palette(r, shape{37, 50}, {.group_rows = 8, .group_columns = 12});
  const auto w = make_grouped_lut_matrix(p);
  const auto x = normal_tensor(r, shape{3, 50});
  const auto q = test::random_tensor<std::int8_t>(r, shape{3, 50});
  const activation_scale scale{0.25F, 3};
  const tensor_view<const float> v(x.data(), shape{50});
  const tensor_view<const std::int8_t> qv(q.data(), shape{50});
  const test::backward_executor ex;
  const simd::native level;
  const auto same = [](const shape& s, const auto& whole, const auto& brief) {
    tensor<float> expected(s), out(s);
    std::fill(out.elements().begin(), out.elements().end(), -1.0F);
    whole(expected);
    brief(out);
    return same_bits(expected.elements(), out.data());
  };
  const shape all{3, 37}, one{37};
  CHECK(same(
      all, [&](auto& y) { gemm_float(w, x, float_output{}, y); },
      [&](auto& y) { gemm_float(w, x, y); }));
  CHECK(same(
      all, [&](auto& y) { gemm_dynamic(w, x, float_output{}, y); },
      [&](auto& y) { gemm_dynamic(w, x, y, level); }));
  CHECK(same(
      all, [&](auto& y) { gemm_scaled(w, q, scale, float_output{}, y); },
      [&](auto& y) {
        gemm_scaled(w, q, {0.25F, 3}, y);
      }));
  CHECK(same(
      one, [&](auto& y) { gemv_float(w, v, float_output{}, y); },
      [&](auto& y) { gemv_float(ex, w, v, y); }));
  CHECK(same(
      one, [&](auto& y) { gemv_dynamic(w, v, float_output{}, y); },
      [&](auto& y) { gemv_dynamic(ex, w, v, y, level); }));
  CHECK(same(
      one, [&](auto& y) { gemv_scaled(w, qv, scale, float_output{}, y); },
      [&](auto& y) { gemv_scaled(ex, w, qv, scale, y); }));
  // The others of each pair, with and without an executor.
  CHECK(same(
      all, [&](auto& y) { gemm_float(w, x, y); }, [&](auto& y) { gemm_float(ex, w, x, y); }));
  CHECK(same(
      all, [&](auto& y) { gemm_dynamic(w, x, y); }, [&](auto& y) { gemm_dynamic(ex, w, x, y); }));
  CHECK(same(
      all, [&](auto& y) { gemm_scaled(w, q, scale, y); },
      [&](auto& y) { gemm_scaled(ex, w, q, scale, y); }));
  CHECK(same(
      one, [&](auto& y) { gemv_float(w, v, y); }, [&](auto& y) { gemv_float(ex, w, v, y); }));
  CHECK(same(
      one, [&](auto& y) { gemv_dynamic(w, v, y); }, [&](auto& y) { gemv_dynamic(ex, w, v, y); }));
  CHECK(same(
      one, [&](auto& y) { gemv_scaled(w, qv, scale, y); },
      [&](auto& y) { gemv_scaled(ex, w, qv, scale, y); }));
}

TEST_CASE("float_gemm: errors stay within their bounds, whatever the range of x") {
  random_stream r(6);
  const index_t rows = 33;
  for (const index_t depth : {1, 10, 300, 2000}) {
    for (const index_t columns : {0, 128}) {
      for (const float scale : {1e-44F, 1e-30F, 1.0F, 0x1.fffffep105F}) {
        auto p = test::random_palette(r, shape{rows, depth}, {.group_columns = columns});
        if (scale > 1) std::ranges::fill(p.scale, 1e-6F);
        auto x = normal_tensor(r, shape{1, depth}, 0.1F);
        if (depth == 300) x[7] = 1e4F;  // an outlier
        for (float& v : x.elements()) v *= scale;
        const grouped_lut_matrix w = make_grouped_lut_matrix(p);
        tensor<float> out(shape{1, rows}), coarse(shape{1, rows});
        gemm_float(w, x, {}, out);
        gemm_dynamic(w, x, {}, coarse);
        const auto integer = reference::integer_weights(p);
        double largest = 0;
        for (const float v : x.elements()) largest = std::max(largest, std::fabs(wide(v)));
        for (index_t i = 0; i < rows; ++i) {
          double y = 0, weights = 0, magnitudes = 0;
          for (index_t k = 0; k < depth; ++k) {
            const auto g = static_cast<std::size_t>(columns == 0 ? 0 : k / columns);
            const double v = integer[i * depth + k] * wide(p.scale[g]);
            y += v * wide(x[k]);
            weights += std::fabs(v);
            magnitudes += std::fabs(v * wide(x[k]));
          }
          const auto slices = static_cast<double>(w.slices().size());
          const double rounding = (slices + 4) * 0x1p-24 * magnitudes;
          const double bound = (std::exp2(-22.9) * largest * weights + rounding) * (1 + 0x1p-20) +
                               0x1p-127 * weights + 0x1p-126;  // below the normal numbers
          CHECK(std::fabs(wide(out[i]) - y) <= bound);
          const double step = std::max(largest / 127, 0x1p-23);
          CHECK(std::fabs(wide(coarse[i]) - y) <=
                (step / 2 * weights + rounding) * (1 + 0x1p-15) + 0x1p-126);
        }
      }
    }
  }
}

TEST_CASE("float_gemm: digits are at their best for values that fill them, and at their ends") {
  const float all[] = {8355711.0F, -8355711.0F, 0.5F,   1.5F,    -0.5F,    -2.5F,     8388607.0F,
                       1.0F,       127.5F,      128.5F, -128.5F, 32767.5F, -32896.0F, 0.0F};
  for (const float scale : {1.0F, 0x1p-100F, 0x1p100F, 0x1p-149F}) {
    for (index_t n = 1; n <= 14; ++n) {
      std::vector<float> x(all, all + n);
      for (float& v : x) v *= scale;
      const auto expected = reference::digits_of(x);
      for_each_kernel_level([&](auto level) {
        std::vector<std::uint8_t> d(3 * 20, 9);
        const float unit = split_row<decltype(level)>(x.data(), n, d.data(), 20);
        CHECK(unit == expected.unit);
        for (index_t i = 0; i < n; ++i) {
          const auto at = static_cast<std::size_t>(i);
          CHECK(d[at] - 128 == expected.d0[at]);
          CHECK(d[at + 20] - 128 == expected.d1[at]);
          CHECK(d[at + 40] - 128 == expected.d2[at]);
        }
        CHECK(d[static_cast<std::size_t>(n)] == 9);
      });
    }
  }
}

TEST_CASE("float_gemm: NaN and infinity") {
  random_stream r(7);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto p = test::random_palette(r, shape{5, 40}, {.group_columns = 16});
  for (const float special : {nan, no_bound, -no_bound}) {
    for (const index_t at : {0, 17, 39}) {
      auto x = normal_tensor(r, shape{3, 40});
      const float_output o = random_output(r, 5, true);
      const auto clean = expected_float(p, x, o);
      x[40 + at] = special;
      for_each_kernel_level([&](auto level) {
        const auto w = make_grouped_lut_matrix(p, level);
        tensor<float> out(shape{3, 5});
        gemm_float(w, x, o, out, level);
        for (index_t i = 0; i < 15; ++i) {
          CHECK((i / 5 == 1 ? std::isnan(out[i]) : out[i] == clean[i]));
        }
        gemm_dynamic(w, x, o, out, level);
        CHECK(out == expected_dynamic(p, x, o));
      });
    }
  }
}

TEST_CASE("float_gemm: extreme weights and digits up to the longest exact depth") {
  random_stream r(8);
  for (const int w : {-128, 127}) {
    for (const float x : {8355711.0F, -8355711.0F, 1.0F}) {
      const index_t depth = 131071;
      auto p = test::random_palette(r, shape{2, depth}, {.bits = 1});
      std::ranges::fill(p.lut_codes, static_cast<std::uint8_t>(w));
      p.scale = {0.5F};
      tensor<float> in(shape{1, depth});
      std::ranges::fill(in.elements(), x);
      const auto expected = expected_float(p, in, {});
      const double y = 0.5 * w * wide(x) * static_cast<double>(depth);
      CHECK(wide(expected[0]) == doctest::Approx(y).epsilon(1e-6));
      for_each_kernel_level([&](auto level) {
        tensor<float> out(shape{1, 2});
        gemm_float(make_lut_matrix(p, level), in, {}, out, level);
        CHECK(out == expected);
      });
    }
  }
}

TEST_CASE("float_gemm: strided views, empty ones, and vectors") {
  random_stream r(9);
  const auto p = test::random_palette(r, shape{37, 29}, {.group_columns = 9});
  const auto wide = normal_tensor(r, shape{10, 60});
  const std::array<index_t, 2> strides{-120, 2};
  const tensor_view<const float> x(wide.data() + 8 * 60, shape{5, 29}, strides);
  const auto dense = tensor<float>::copy_of(x);
  const auto expected = expected_float(p, dense, {});
  for_each_kernel_level([&](auto level) {
    const auto w = make_grouped_lut_matrix(p, level);
    tensor<float> transposed(shape{37, 5});
    const std::array<index_t, 2> columns{1, 5};
    const tensor_view<float> out(transposed.data(), shape{5, 37}, columns);
    gemm_float(w, x, {}, out, level);
    CHECK(tensor<float>::copy_of(out) == expected);
    gemm_dynamic(w, x, {}, out, level);
    CHECK(tensor<float>::copy_of(out) == expected_dynamic(p, dense, {}));
    std::vector<float> y(37), z(37);
    gemv_float(w, row_of(dense, 0), {}, y, level);
    CHECK(same_bits(std::span(expected.elements()).first(37), y.data()));
    gemv_dynamic(w, row_of(dense, 0), {}, z, level);
    CHECK(z[3] == expected_dynamic(p, dense, {})[3]);
    for (const shape& s : {shape{0, 5}, shape{5, 0}, shape{0, 0}, shape{5, 3}}) {
      const auto none =
          make_grouped_lut_matrix(test::random_palette(r, s, {.group_columns = 2}), level);
      for (const index_t m : {0, 3}) {
        tensor<float> in(shape{m, s[1]});
        tensor<float> zeros(shape{m, s[0]},
                            std::vector<float>(static_cast<std::size_t>(m * s[0]), 9.0F));
        gemm_float(none, in, {}, zeros, level);
        for (const float v : zeros.elements()) CHECK(v == 0.0F);
        gemm_dynamic(none, in, {}, zeros, level);
        for (const float v : zeros.elements()) CHECK(v == 0.0F);
      }
    }
  });
}

TEST_CASE("float_gemm: what does not fit is an error before anything is written") {
  random_stream r(10);
  const auto p = test::random_palette(r, shape{4, 6}, {.group_columns = 3});
  const auto w = make_grouped_lut_matrix(p);
  const tensor<float> x(shape{2, 6});
  tensor<float> out(shape{2, 4}), narrow(shape{2, 3});
  CHECK_ERROR(gemm_float(w, tensor<float>(shape{2, 5}), {}, out), shape_mismatch, "gemm_float",
              "[2, 5]", "[m, 6]");
  CHECK_ERROR(gemm_dynamic(w, tensor<float>(shape{12}), {}, out), shape_mismatch, "gemm_dynamic",
              "[12]");
  CHECK_ERROR(gemm_float(w, x, {}, narrow), shape_mismatch, "[2, 3]", "[2, 4]");
  CHECK_ERROR(gemm_float(w, x, {.bias = {1, 2, 3}}, out), shape_mismatch, "bias", "3", "4");
  CHECK_ERROR(gemm_dynamic(w, x, {.bias = {}, .lo = 2, .hi = 1}, out), invalid_argument, "lo", "2");
  CHECK_ERROR(gemm_float(w, x, {.bias = {}, .lo = std::nanf("")}, out), invalid_argument, "lo");
  const tensor<float> five(shape{5}), six(shape{6});
  tensor<float> three(shape{3}), four(shape{4});
  CHECK_ERROR(gemv_float(w, x, {}, narrow), shape_mismatch, "x does not match the matrix",
              "(gemv_float): got [2, 6], allowed: [6]");
  CHECK_ERROR(gemv_float(w, six, {}, three), shape_mismatch, "out does not",
              "(gemv_float): got [3], allowed: [4]");
  CHECK_ERROR(gemv_float(w, six, {.bias = {1}}, four), shape_mismatch, "bias", "(gemv_float)");
  CHECK_ERROR(gemv_dynamic(w, five, {}, four), shape_mismatch, "x does not",
              "(gemv_dynamic): got [5], allowed: [6]");
  CHECK_ERROR(gemv_dynamic(w, six, {.bias = {1}}, four), shape_mismatch, "bias", "(gemv_dynamic)");
  const tensor<std::int8_t> six_codes(shape{6});
  CHECK_ERROR(gemv_scaled(w, six_codes, {}, {}, out), shape_mismatch, "out does not",
              "(gemv_scaled): got [2, 4], allowed: [4]");
  CHECK_ERROR(gemv_scaled(w, six_codes, {.scale = -1}, {}, four), invalid_argument,
              "(gemv_scaled)");
  tensor<float> both(shape{24});
  const tensor_view<const float> in(both.data(), shape{2, 6});
  for (const index_t at : {0, 5, 11}) {
    const tensor_view<float> over(both.data() + at, shape{2, 4});
    CHECK_ERROR(gemm_float(w, in, {}, over), invalid_argument, "out overlaps x", "gemm_float");
    CHECK_ERROR(gemm_dynamic(w, in, {}, over), invalid_argument, "out overlaps x", "gemm_dynamic");
  }
  gemm_float(w, in, {}, tensor_view<float>(both.data() + 12, shape{2, 4}));
  const tensor<std::int8_t> q(shape{2, 6});
  const tensor<std::uint8_t> u(shape{2, 6});
  for (const float scale : {0.0F, -1.0F, std::nanf(""), no_bound}) {
    CHECK_ERROR(gemm_scaled(w, q, {.scale = scale}, {}, out), invalid_argument, "scale",
                "gemm_scaled");
  }
  CHECK_ERROR(gemm_scaled(w, q, {1, 128}, {}, out), invalid_argument, "zero_point", "128");
  tensor<std::int8_t> narrow_out(shape{2, 4});
  const auto quantized = [&](const quantized_output& o) { gemm_scaled(w, q, {}, o, narrow_out); };
  quantized({});
  for (const float scale : {0.0F, -1.0F, std::nanf(""), no_bound}) {
    CHECK_ERROR(quantized({{}, scale}), invalid_argument, "scale of the output", "gemm_scaled");
  }
  CHECK_ERROR(quantized({{}, 1, 128}), invalid_argument, "zero_point of the output", "128");
  CHECK_ERROR(quantized({{}, 1, 0, -129}), invalid_argument, "lo of the output", "-129");
  CHECK_ERROR(quantized({{}, 1, 0, 5, 4}), invalid_argument, "hi of the output", "got 4");
  CHECK_ERROR(quantized({{}, 1, 0, -128, 128}), invalid_argument, "hi of the output", "128");
  CHECK_ERROR(quantized({{.bias = {1}}}), shape_mismatch, "bias", "gemm_scaled");
  for (const float bias : {std::nanf(""), no_bound, -no_bound}) {
    CHECK_ERROR(quantized({{.bias = {1, 2, bias, 3}}}), invalid_argument, "bias", "not finite",
                "in row 2", "gemm_scaled");
  }
  tensor<std::uint8_t> unsigned_out(shape{2, 4});
  CHECK_ERROR(gemm_scaled(w, q, {}, quantized_output{}, unsigned_out), invalid_argument,
              "lo of the output", "-128", "0");
  CHECK_ERROR(gemm_scaled(w, u, {1, -1}, {}, out), invalid_argument, "zero_point", "-1");
  {
    // The largest sums that a zero point leaves room for, and one product more.
    auto largest = test::random_palette(r, shape{1, 65793}, {.bits = 1});
    std::ranges::fill(largest.lut_codes, std::uint8_t{0x80});  // -128
    tensor<std::int8_t> full(shape{1, 65793});
    std::ranges::fill(full.elements(), std::int8_t{127});
    tensor<float> sum(shape{1, 1});
    gemm_scaled(make_lut_matrix(largest), full, {1, -128}, {}, sum);
    CHECK(sum[0] == doctest::Approx(-128.0 * 255.0 * 65793.0 * wide(largest.scale[0])));
    const auto more = test::random_palette(r, shape{1, 65794}, {.bits = 1, .lowest = -128});
    const tensor<std::int8_t> codes(shape{1, 65794});
    CHECK_ERROR(gemm_scaled(make_lut_matrix(more), codes, {1, 5}, {}, sum), unsupported, "65794",
                "zero point");
    gemm_scaled(make_lut_matrix(more), codes, {1, 0}, {}, sum);
  }
  const auto deep = test::random_palette(r, shape{1, 131072}, {.bits = 1});
  tensor<float> one(shape{1, 1});
  CHECK_ERROR(gemm_float(make_lut_matrix(deep), tensor<float>(shape{1, 131072}), {}, one),
              unsupported, "131072", "131071");
  auto cut = deep;
  cut.block = cut.block.with(1, 65536);
  cut.lut_codes.resize(4);
  cut.scale.resize(2, 1.0F);
  cut.zero_point.resize(2);
  gemm_float(make_grouped_lut_matrix(cut), tensor<float>(shape{1, 131072}), {}, one);
  CHECK(one[0] == 0);
  if constexpr (!std::is_same_v<simd::native, simd::portable>) {
    CHECK_ERROR(gemm_float(w, x, {}, out, simd::portable{}), incompatible, "another level",
                "portable");
  }
}

TEST_CASE("float_gemm: x and out are aligned, out does not overlap itself") {
  random_stream r(10);
  const auto w =
      make_grouped_lut_matrix(test::random_palette(r, shape{70, 8}, {.group_columns = 4}));
  const tensor<float> x(shape{3, 8}), row(shape{8});
  const tensor<std::int8_t> q(shape{3, 8}), q_row(shape{8});
  const shape matrix{3, 70}, vector{70};
  const auto check = [&]<class T>(const auto& o, T) {
    test::check_output_memory<T>(matrix, [&](auto out) { gemm_float(w, x, o, out); });
    test::check_output_memory<T>(matrix, [&](auto out) { gemm_dynamic(w, x, o, out); });
    test::check_output_memory<T>(matrix, [&](auto out) { gemm_scaled(w, q, {}, o, out); });
    test::check_output_memory<T>(vector, [&](auto out) { gemv_float(w, row, o, out); });
    test::check_output_memory<T>(vector, [&](auto out) { gemv_dynamic(w, row, o, out); });
    test::check_output_memory<T>(vector, [&](auto out) { gemv_scaled(w, q_row, {}, o, out); });
  };
  check(float_output{}, float{});
  check(quantized_output{}, std::int8_t{});
  test::misaligned<float> odd(shape{3, 8});
  const tensor_view<const float> from = odd.view();
  tensor<float> out(matrix);
  CHECK_ERROR(gemm_float(w, from, {}, out), invalid_argument, "x is not aligned", "remainder 1",
              "alignment 4", "gemm_float");
  CHECK_ERROR(gemm_dynamic(w, from, {}, out), invalid_argument, "x is not aligned", "gemm_dynamic");
}

TEST_CASE("float_gemm: out lies apart from the bias") {
  random_stream r(13);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{4, 3}, {}));
  const tensor<float> x(shape{1, 3});
  const tensor<std::int8_t> bytes(shape{1, 3});
  float_output o{.bias = {1, 2, 3, 4}};
  const tensor_view<float> out(o.bias.data(), shape{1, 4});
  CHECK_ERROR(gemm_float(w, x, o, out), invalid_argument, "out overlaps bias", "gemm_float");
  CHECK_ERROR(gemm_dynamic(w, x, o, out), invalid_argument, "out overlaps bias", "gemm_dynamic");
  CHECK_ERROR(gemm_scaled(w, bytes, {}, o, out), invalid_argument, "out overlaps bias",
              "gemm_scaled");
  quantized_output q{o, 1.0F};
  const tensor_view<std::int8_t> codes(reinterpret_cast<std::int8_t*>(q.real.bias.data()),
                                       shape{1, 4});
  CHECK_ERROR(gemm_float(w, x, q, codes), invalid_argument, "out overlaps bias");
  CHECK(o.bias == std::vector<float>{1, 2, 3, 4});
}
