// Every level that was compiled and that this CPU runs, in one process, against runtime/reference.hpp: the same bits.
#include <doctest/doctest.h>

#include <every_levels.hpp>
#include <lutra/runtime/reference.hpp>

#include "errors.hpp"
#include "kernels.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

const kernels& best() {
  return simd::dispatch(every_levels{},
                        [](auto level) -> const kernels& { return kernels_of<decltype(level)>(); });
}

// f(kernels) at every level that runs here.
template <class F> void at_every_level(F&& f) {
  simd::for_each_runnable(every_levels{}, [&](auto level) {
    CAPTURE(std::string(level.name));
    f(kernels_of<decltype(level)>());
  });
}

template <class X> tensor<std::int32_t> expected(const packed_palette& p, const tensor<X>& x) {
  const auto w = reference::integer_weights(p);
  tensor<std::int32_t> out(shape{x.extent(0), p.weight_shape[0]});
  reference::gemm<X>(view(w), view(x), view(out));
  return out;
}

}  // namespace

TEST_CASE("dispatch: each level's code is of that level; the best is the last that runs here") {
  random_stream r(1);
  const auto p = test::random_palette(r, shape{3, 5}, {});
  std::string last;
  simd::for_each_runnable(every_levels{}, [&](auto level) {
    last = level.name;
    CHECK(kernels_of<decltype(level)>().load(p).level() == last);
  });
  CHECK(best().load(p).level() == last);
}

TEST_CASE("dispatch: products at every level equal the reference") {
  random_stream r(2);
  for (int bits = 1; bits <= 8; ++bits) {
    for (const index_t group : {0, 1, 3, 4, 32}) {
      for (const int lowest : {-127, -128}) {
        const index_t rows = test::pick(r, 1, 150), depth = test::pick(r, 1, 130);
        const index_t m = test::pick(r, 1, 9);
        const auto p = test::random_palette(
            r, shape{rows, depth},
            {.bits = bits, .group_rows = group, .lowest = lowest, .zero_points = group == 3});
        const auto x = test::random_tensor<std::int8_t>(r, shape{m, depth});
        const auto u = test::random_tensor<std::uint8_t>(r, shape{m, depth});
        const auto of_x = expected(p, x);
        const auto of_u = expected(p, u);
        at_every_level([&](const kernels& k) {
          const lut_matrix w = k.load(p);
          tensor<std::int32_t> out(of_x.extents());
          k.gemm(w, view(x), view(out));
          CHECK(out == of_x);
          k.gemm_unsigned(w, view(u), view(out));
          CHECK(out == of_u);
        });
      }
    }
  }
}

TEST_CASE("dispatch: requantized products at every level equal the reference") {
  random_stream r(3);
  const index_t rows = 77, depth = 101;
  const auto p = test::random_palette(r, shape{rows, depth}, {});
  const auto x = test::random_tensor<std::int8_t>(r, shape{5, depth});
  requantize e{.multiplier = {}, .bias = {}, .zero_point = -3, .lo = -100, .hi = 127};
  for (index_t i = 0; i < rows; ++i) {
    e.multiplier.push_back(static_cast<float>(0.0001 + 0.001 * r.uniform()));
    e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -9999, 9999)));
  }
  const auto sums = expected(p, x);
  at_every_level([&](const kernels& k) {
    tensor<std::int8_t> out(sums.extents());
    k.gemm_narrow(k.load(p), view(x), e, view(out));
    bool same = true;
    for (index_t i = 0; i < sums.size(); ++i) {
      const auto row = static_cast<std::size_t>(i % rows);
      same &= out[i] == reference::requantize(sums[i], e.bias[row], e.multiplier[row], e.zero_point,
                                              e.lo, e.hi);
    }
    CHECK(same);
  });
}

TEST_CASE("dispatch: a convolution at every level equals the reference") {
  random_stream r(4);
  const auto p = test::random_palette(r, shape{20, 3, 3, 3}, {});
  const auto x = test::random_tensor<std::int8_t>(r, shape{2, 3, 9, 11});
  const conv2d_options o{.window = window2d::symmetric({1, 2}, {1, 1})};
  tensor<std::int32_t> sums(shape{2, 20, 9, 6});
  const auto w = reference::integer_weights(p);
  reference::conv2d<std::int8_t>(view(w), view(x), o.window, 1, 0, view(sums));
  at_every_level([&](const kernels& k) {
    tensor<std::int32_t> out(sums.extents());
    k.conv2d(k.load(p), view(x), o, view(out));
    CHECK(out == sums);
  });
}

TEST_CASE(
    "dispatch: products with scales and groups of inputs at every level equal the reference") {
  random_stream r(6);
  const auto p = test::random_palette(r, shape{70, 50}, {.group_rows = 8, .group_columns = 16});
  tensor<float> x(shape{3, 50}), floats(shape{3, 70}), dynamic(floats.extents());
  for (float& v : x.elements()) v = static_cast<float>(r.normal());
  const float_output o{.bias = std::vector<float>(70, 0.5F), .lo = -20, .hi = 20};
  tensor<std::int8_t> digits(shape{9, 50}), rows(x.extents());
  reference::to_float by_digits{3, 0, {}, o.bias, o.lo, o.hi};
  for (index_t m = 0; m < 3; ++m) {
    const auto d =
        reference::digits_of(std::span(x.elements()).subspan(static_cast<std::size_t>(50 * m), 50));
    by_digits.x_scale.push_back(d.unit);
    std::ranges::copy(d.d0, digits.data() + 150 * m);
    std::ranges::copy(d.d1, digits.data() + 150 * m + 50);
    std::ranges::copy(d.d2, digits.data() + 150 * m + 100);
  }
  reference::gemm<std::int8_t>(p, view(std::as_const(digits)), by_digits, view(floats));
  std::vector<quantized_row> scales(3);
  quantize_rows(view(std::as_const(x)), view(rows), scales);
  reference::to_float by_row{1, 0, {}, o.bias, o.lo, o.hi};
  for (const quantized_row& row : scales) by_row.x_scale.push_back(row.scale);
  reference::gemm<std::int8_t>(p, view(std::as_const(rows)), by_row, view(dynamic));
  const quantized_output q{o, 0.2F, 3, -100, 100};
  const unit_params u{dtype::int8, true, 0.2F, 3, 0, -100, 100};
  at_every_level([&](const kernels& k) {
    const grouped_lut_matrix w = k.load_grouped(p);
    tensor<float> out(floats.extents());
    k.gemm_float(w, view(std::as_const(x)), o, view(out));
    CHECK(out == floats);
    tensor<std::int8_t> codes(floats.extents());
    k.gemm_dynamic(w, view(std::as_const(x)), q, view(codes));
    for (index_t i = 0; i < codes.size(); ++i) CHECK(codes[i] == encode_one(dynamic[i], u));
  });
}

TEST_CASE("dispatch: a convolution with groups of input channels at every level") {
  random_stream r(7);
  const auto p = test::random_palette(r, shape{20, 5, 3, 3}, {.group_columns = 2});
  const auto x = test::random_tensor<std::uint8_t>(r, shape{2, 5, 9, 11});
  const conv2d_options o{.window = window2d::symmetric({1, 2}, {1, 1}), .padding_value = 99};
  const quantized_output q{{.bias = std::vector<float>(20, 7.0F), .lo = 0}, 3.0F, -120};
  tensor<float> floats(shape{2, 20, 9, 6});
  reference::conv2d<std::uint8_t>(p, view(x), o.window, 1, 99,
                                  {1, 99, {0.02F}, q.real.bias, q.real.lo, q.real.hi}, floats);
  const unit_params u{dtype::int8, true, 3, -120, 0, -128, 127};
  at_every_level([&](const kernels& k) {
    tensor<std::int8_t> codes(floats.extents());
    k.conv2d_scaled(k.load_grouped(p), view(x), o, {0.02F, 99}, q, view(codes));
    bool same = true;
    for (index_t i = 0; i < codes.size(); ++i) same &= codes[i] == encode_one(floats[i], u);
    CHECK(same);
  });
}

TEST_CASE("dispatch: errors of any level arrive, and a level refuses a matrix of another") {
  random_stream r(5);
  auto broken = test::random_palette(r, shape{4, 8}, {});
  broken.codes.pop_back();
  const auto p = test::random_palette(r, shape{4, 8}, {});
  const lut_matrix of_best = best().load(p);
  const auto x = test::random_tensor<std::int8_t>(r, shape{1, 8});
  tensor<std::int32_t> out(shape{1, 4});
  at_every_level([&](const kernels& k) {
    CHECK_ERROR(k.load(broken), corrupt_data, "codes has the wrong size");
    if (k.load(p).level() != of_best.level()) {
      CHECK_ERROR(k.gemm(of_best, view(x), view(out)), incompatible, of_best.level());
    }
  });
}
