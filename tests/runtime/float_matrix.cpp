#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <lutra/runtime/float_matrix.hpp>
#include <lutra/runtime/reference.hpp>

#include "backward_executor.hpp"
#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/output_memory.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

// A palette with float tables.
packed_palette float_palette(random_stream& r, const shape& s, const test::palette_options& o) {
  auto p = test::random_palette(r, s, o);
  p.lut_dtype = dtype::float32;
  for (std::size_t i = 0; i < p.lut_codes.size(); ++i) {
    p.lut.push_back(static_cast<float>(r.normal()));
  }
  p.lut_codes.clear();
  p.scale.clear();
  p.zero_point.clear();
  return p;
}
tensor<float> normal_inputs(random_stream& r, const shape& s) {
  tensor<float> x(s);
  for (float& v : x.elements()) v = static_cast<float>(r.normal());
  return x;
}
tensor<float> expected_of(packed_palette p, const tensor<float>& x, const float_output& o) {
  const auto scale = std::exchange(p.row_scale, {});
  const auto dense = restore<float, simd::portable>(p);
  const shape s{p.weight_shape[0], x.extent(1)};
  tensor<float> out(shape{x.extent(0), s[0]});
  reference::gemm({dense.data(), s}, scale, view(x), o.bias, o.lo, o.hi, view(out));
  return out;
}

bool every_level_agrees(const packed_palette& p, const tensor<float>& x, const float_output& o) {
  const auto expected = expected_of(p, x, o);
  const index_t m = x.extent(0), rows = p.weight_shape[0];
  const float_lut_matrix w = make_float_lut_matrix(p);
  bool good = true;
  test::guarded<float> input(x.size());
  std::ranges::copy(x.elements(), input.data());
  for_each_kernel_level([&](auto level) {
    test::fenced<float> out(m * rows, 1 + (rows + m) % 3);
    gemm_float(test::backward_executor{}, w, tensor_view<const float>(input.data(), x.extents()), o,
               tensor_view<float>(out.data(), shape{m, rows}), level);
    const auto bytes = expected.elements().size() * sizeof(float);
    if (std::memcmp(expected.data(), out.data(), bytes) != 0 || !out.intact()) {
      good = false;
      MESSAGE("level " << std::string(decltype(level)::name) << ", " << p.n_bits << " bits, "
                       << text_of(p.weight_shape) << " in " << text_of(p.block) << ", m " << m);
    }
  });
  return good;
}

}  // namespace

TEST_CASE("float_matrix: every row and depth tail, at every level, equals the reference") {
  random_stream r(1);
  bool good = true;
  for (index_t rows = 1; rows <= 9; ++rows) {
    for (index_t depth = 1; depth <= 140; depth += test::quick() ? 7 : 1) {
      const auto p = float_palette(r, shape{rows, depth}, {});
      good = every_level_agrees(p, normal_inputs(r, shape{1 + depth % 3, depth}), {}) && good;
    }
  }
  CHECK(good);
}

TEST_CASE("float_matrix: widths of 1 to 8 bits, groups along both axes, row scales, bias, bounds") {
  random_stream r(2);
  bool good = true;
  for (int bits = 1; bits <= 8; ++bits) {
    for (const index_t group : {0, 1, 3, 16}) {
      for (const index_t columns : {0, 1, 5, 32, 100}) {
        const index_t rows = test::pick(r, 1, 140), depth = test::pick(r, 1, 130);
        const test::palette_options o{.bits = bits, .group_rows = group, .group_columns = columns};
        // int8 tables work too.
        auto p = group == 3 ? test::random_palette(r, shape{rows, depth}, o)
                            : float_palette(r, shape{rows, depth}, o);
        float_output end;
        if (columns == 5) {
          for (index_t i = 0; i < rows; ++i) {
            p.row_scale.push_back(static_cast<float>(r.uniform() + 0.1));
            end.bias.push_back(static_cast<float>(r.normal()));
          }
          end.lo = 0;
          end.hi = 3;
        }
        good = every_level_agrees(p, normal_inputs(r, shape{test::pick(r, 1, 18), depth}), end) &&
               good;
      }
    }
  }
  CHECK(good);
  CHECK(every_level_agrees(float_palette(r, shape{7, 4500}, {.bits = 3}),
                           normal_inputs(r, shape{2, 4500}), {}));
  CHECK(every_level_agrees(float_palette(r, shape{7, 6, 3, 3}, {.group_columns = 4}),
                           normal_inputs(r, shape{2, 54}), {}));
}

TEST_CASE("float_matrix: the error stays within its bound") {
  random_stream r(3);
  for (const index_t depth : {1, 16, 333, 5000}) {
    const auto p = float_palette(r, shape{9, depth}, {.bits = 6});
    const auto x = normal_inputs(r, shape{1, depth});
    const auto dense = restore(p);
    tensor<float> out(shape{1, 9});
    gemm_float(make_float_lut_matrix(p), x, {}, out);
    for (index_t i = 0; i < 9; ++i) {
      double y = 0, magnitudes = 0;
      for (index_t k = 0; k < depth; ++k) {
        const double v = static_cast<double>(dense[i * depth + k]) * static_cast<double>(x[k]);
        y += v;
        magnitudes += std::fabs(v);
      }
      const double terms = static_cast<double>(depth) / 64 + 9;
      CHECK(std::fabs(static_cast<double>(out[i]) - y) <= terms * 0x1p-24 * magnitudes);
    }
  }
}

TEST_CASE("float_matrix: without an output the floats are those of float_output{}") {
  random_stream r(8);
  const float_lut_matrix w = make_float_lut_matrix(float_palette(r, shape{5, 20}, {}));
  const auto x = normal_inputs(r, shape{2, 20});
  const tensor_view<const float> v(x.data(), shape{20});
  const test::backward_executor ex;
  tensor<float> expected(shape{2, 5});
  gemm_float(w, x, float_output{}, expected);
  const auto check = [&](const shape& s, const auto& multiply) {
    tensor<float> out(s);
    std::fill(out.elements().begin(), out.elements().end(), -1.0F);
    multiply(out);
    for (index_t i = 0; i < out.size(); ++i) CHECK(out[i] == expected[i]);
  };
  check({2, 5}, [&](auto& y) { gemm_float(w, x, y); });
  check({2, 5}, [&](auto& y) { gemm_float(ex, w, x, y, simd::native{}); });
  check({5}, [&](auto& y) { gemv_float(w, v, y, simd::native{}); });
  check({5}, [&](auto& y) { gemv_float(ex, w, v, y); });
}

TEST_CASE("float_matrix: NaN and infinity, strides, vectors, empty matrices") {
  random_stream r(4);
  const auto p = float_palette(r, shape{5, 20}, {});
  const float_lut_matrix w = make_float_lut_matrix(p);
  auto x = normal_inputs(r, shape{3, 20});
  x[21] = std::numeric_limits<float>::quiet_NaN();
  x[45] = std::numeric_limits<float>::infinity();
  tensor<float> out(shape{5, 3});
  const std::array<index_t, 2> columns{1, 3};
  gemm_float(w, x, {}, tensor_view<float>(out.data(), shape{3, 5}, columns));
  const auto expected = expected_of(p, x, {});
  for (index_t i = 0; i < 5; ++i) {
    CHECK(out[3 * i] == expected[i]);
    CHECK(std::isnan(out[3 * i + 1]));
    CHECK(std::isinf(out[3 * i + 2]));
    CHECK(out[3 * i + 2] == expected[10 + i]);
  }
  const std::array<index_t, 1> backward{-1};
  std::vector<float> reversed(x.elements().rbegin() + 40, x.elements().rend()), y(5);
  gemv_float(w, tensor_view<const float>(&reversed[19], shape{20}, backward), {}, y);
  CHECK(y[4] == expected[4]);
  for (const shape& s : {shape{0, 5}, shape{5, 0}, shape{5, 3}}) {
    const auto none = make_float_lut_matrix(float_palette(r, s, {}));
    for (const index_t m : {0, 3}) {
      tensor<float> zeros(shape{m, s[0]},
                          std::vector<float>(static_cast<std::size_t>(m * s[0]), 9.0F));
      gemm_float(none, tensor<float>(shape{m, s[1]}), {}, zeros);
      for (const float v : zeros.elements()) CHECK(v == 0.0F);
    }
  }
}

TEST_CASE("float_matrix: what does not fit is an error before anything is written") {
  random_stream r(5);
  const auto p = float_palette(r, shape{4, 6, 2}, {});
  const auto w = make_float_lut_matrix(p);
  CHECK(w.bytes() == 24 + 64);
  tensor<float> out(shape{2, 4});
  CHECK_ERROR(gemm_float(w, tensor<float>(shape{2, 6}), {}, out), shape_mismatch, "gemm_float",
              "[2, 6]", "[m, 12]");
  tensor<float> narrow(shape{2, 3});
  CHECK_ERROR(gemm_float(w, tensor<float>(shape{2, 12}), {}, narrow), shape_mismatch, "[2, 3]");
  CHECK_ERROR(gemv_float(w, tensor<float>(shape{6}), {}, out), shape_mismatch, "x does not match",
              "(gemv_float): got [6], allowed: [12]");
  CHECK_ERROR(gemv_float(w, tensor<float>(shape{12}), {}, out), shape_mismatch,
              "out does not match", "(gemv_float): got [2, 4], allowed: [4]");
  CHECK_ERROR(gemm_float(w, tensor<float>(shape{2, 12}), {.bias = {1}}, out), shape_mismatch,
              "bias");
  tensor<float> both(shape{24});
  CHECK_ERROR(gemm_float(w, tensor_view<const float>(both.data(), shape{1, 12}), {},
                         tensor_view<float>(both.data() + 11, shape{1, 4})),
              invalid_argument, "out overlaps x");
  const auto with = [&](auto&& change) {
    packed_palette q = p;
    change(q);
    make_float_lut_matrix(q);
  };
  CHECK_ERROR(with([](auto& q) {
                q.block = shape{4, 6, 1};
                q.lut.resize(32);
              }),
              unsupported, "0 and 1");
  CHECK_ERROR(with([](auto& q) { q.codes.pop_back(); }), corrupt_data, "stream", "23");
  CHECK_ERROR(with([](auto& q) { q.lut.pop_back(); }), corrupt_data, "table", "15", "16");
  CHECK_ERROR(with([](auto& q) { q.lut[3] = std::nanf(""); }), corrupt_data, "finite");
  CHECK_ERROR(with([](auto& q) {
                q.outliers.position = {3};
                q.outliers.value = {1.0F};
              }),
              unsupported, "outliers");
}

TEST_CASE("float_matrix: x and out are aligned, out does not overlap itself") {
  random_stream r(6);
  const auto w = make_float_lut_matrix(float_palette(r, shape{70, 8}, {}));
  const tensor<float> x(shape{3, 8}), row(shape{8});
  test::check_output_memory<float>(shape{3, 70}, [&](auto out) { gemm_float(w, x, {}, out); });
  test::check_output_memory<float>(shape{70}, [&](auto out) { gemv_float(w, row, {}, out); });
  test::misaligned<float> odd(shape{3, 8});
  tensor<float> out(shape{3, 70});
  CHECK_ERROR(gemm_float(w, odd.view(), {}, out), invalid_argument, "x is not aligned",
              "gemm_float");
}

TEST_CASE("float_matrix: out lies apart from the bias") {
  random_stream r(13);
  const auto p = float_palette(r, shape{4, 3}, {});
  const tensor<float> x(shape{1, 3});
  float_output o{.bias = {1, 2, 3, 4}};
  const tensor_view<float> out(o.bias.data(), shape{1, 4});
  CHECK_ERROR(gemm_float(make_float_lut_matrix(p), x, o, out), invalid_argument,
              "out overlaps bias", "gemm_float");
}
