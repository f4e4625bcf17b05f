// Every level that was compiled and that this CPU runs, in one process, against runtime/reference.hpp: the same bits,
// nothing read outside of inputs, nothing written outside of outputs.
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

// call(k, x, out) at every level, x between pages that cannot be read, out misaligned for vectors and between sentinels.
template <class X, class Out, class F>
void check_memory_and_bits(const tensor<X>& x, const tensor<Out>& wanted, F&& call) {
  static index_t shift = 0;
  for (const auto side : {test::meets::page_behind, test::meets::page_before}) {
    test::guarded<X> input(x.size(), side);
    std::ranges::copy(x.elements(), input.data());
    at_every_level([&](const kernels& k) {
      shift = shift % 61 + 1;
      test::fenced<Out> out(wanted.size(), shift);
      call(k, tensor_view<const X>(input.data(), x.extents()),
           tensor_view<Out>(out.data(), wanted.extents()));
      const auto got = std::span(out.data(), static_cast<std::size_t>(wanted.size()));
      CHECK(std::ranges::equal(wanted.elements(), got));
      CHECK(out.intact());
    });
  }
}

// Sums of a product, of int8 and of uint8 activations.
void check_product(const packed_palette& p, const tensor<std::int8_t>& x,
                   const tensor<std::uint8_t>& u) {
  CAPTURE(text_of(p.weight_shape));
  CAPTURE(p.n_bits);
  check_memory_and_bits(x, expected(p, x),
                        [&](const kernels& k, auto in, auto out) { k.gemm(k.load(p), in, out); });
  check_memory_and_bits(u, expected(p, u), [&](const kernels& k, auto in, auto out) {
    k.gemm_unsigned(k.load(p), in, out);
  });
}

template <class Epilogue>
Epilogue random_epilogue(random_stream& r, index_t rows, Epilogue e = {}) {
  for (index_t i = 0; i < rows; ++i) {
    e.multiplier.push_back(static_cast<float>(0.0001 + 0.001 * r.uniform()));
    e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -9999, 9999)));
    e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
  }
  return e;
}
// What e makes of sums [.., rows, inner].
template <class Out>
tensor<Out> finished(const tensor<std::int32_t>& sums, const requantize& e, index_t inner = 1) {
  tensor<Out> out(sums.extents());
  for (index_t i = 0; i < sums.size(); ++i) {
    const auto row = static_cast<std::size_t>(i / inner) % e.bias.size();
    out[i] = static_cast<Out>(reference::requantize(sums[i], e.bias[row], e.multiplier[row],
                                                    e.zero_point, e.lo, e.hi, e.rest[row]));
  }
  return out;
}

// A matrix whose rows are of the entries a, b, a, .. alone, in groups of group_rows; 0: every other code is b.
packed_palette extreme_palette(const shape& s, int bits, index_t group_rows, int a, int b) {
  packed_palette p;
  p.weight_shape = s;
  p.block = s.with(0, group_rows > 0 ? group_rows : s[0]);
  p.n_bits = bits;
  p.codes.resize(static_cast<std::size_t>(packed_bytes(s.size(), bits)));
  for (std::size_t i = 0; i < p.codes.size(); ++i) p.codes[i] = static_cast<std::uint8_t>(i * 157);
  const index_t groups = p.groups().count();
  for (index_t g = 0; g < groups; ++g) {
    for (int code = 0; code < 1 << bits; ++code) {
      p.lut_codes.push_back(static_cast<std::uint8_t>((group_rows > 0 ? g : code) % 2 ? b : a));
    }
  }
  p.scale.assign(static_cast<std::size_t>(groups), 1.0F);
  return p;
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

TEST_CASE("dispatch: products of every width, with groups, equal the reference") {
  random_stream r(2);
  for (int bits = 1; bits <= 8; ++bits) {
    for (const index_t group : {0, 1, 3, 4, 32}) {
      for (const int lowest : {-127, -128}) {
        const index_t rows = test::pick(r, 1, 150), depth = test::pick(r, 1, 130);
        const index_t m = test::pick(r, 1, 9);
        const auto p = test::random_palette(
            r, shape{rows, depth},
            {.bits = bits, .group_rows = group, .lowest = lowest, .zero_points = group == 3});
        check_product(p, test::random_tensor<std::int8_t>(r, shape{m, depth}),
                      test::random_tensor<std::uint8_t>(r, shape{m, depth}));
      }
    }
  }
}

TEST_CASE("dispatch: products of every tail of rows, depth and columns equal the reference") {
  random_stream r(8);
  const auto check = [&](index_t rows, index_t depth, index_t m) {
    const auto p = test::random_palette(
        r, shape{rows, depth},
        {.bits = depth % 3 ? 4 : static_cast<int>(2 + rows % 7), .lowest = rows % 2 ? -127 : -128});
    check_product(p, test::random_tensor<std::int8_t>(r, shape{m, depth}),
                  test::random_tensor<std::uint8_t>(r, shape{m, depth}));
  };
  const index_t step = test::quick() ? 9 : 1;
  for (index_t n = 1; n <= 81;
       n += step) {  // a panel of 64 rows and a strip of 16 more; ten steps of the depth
    check(n, 1 + n * 7 % 40, 1 + n % 9);
    check(1 + n * 5 % 70, n, 1 + n % 5);
  }
  for (index_t m = 1; m <= 18; m += step) check(67, 33, m);
}

TEST_CASE("dispatch: extreme weights and activations, up to the longest exact depth") {
  // Rows of x are of one extreme each.
  const auto check = [](const auto& values, index_t depth, bool deep) {
    using X = std::remove_cvref_t<decltype(values[0])>;
    const auto count = static_cast<index_t>(values.size());
    tensor<X> x(shape{count, depth});
    for (index_t i = 0; i < x.size(); ++i) x[i] = values[static_cast<std::size_t>(i / depth)];
    for (const int bits : {2, 3, 4, 6, 8}) {
      if ((deep || test::quick()) && bits != 4) continue;
      for (const index_t group : {0, 4}) {
        for (const int lowest : {-128, -127}) {
          const index_t rows = deep ? 5 : 65;
          const auto p = extreme_palette(shape{rows, depth}, bits, group, lowest, 127);
          CAPTURE(lowest);
          CAPTURE(group);
          check_memory_and_bits(x, expected(p, x), [&](const kernels& k, auto in, auto out) {
            if constexpr (std::is_signed_v<X>) {
              k.gemm(k.load(p), in, out);
            } else {
              k.gemm_unsigned(k.load(p), in, out);
            }
          });
        }
      }
    }
  };
  const std::array<std::int8_t, 4> bytes{-128, 127, -127, 0};
  const std::array<std::uint8_t, 3> unsigned_bytes{255, 0, 128};
  check(bytes, 1024, false);
  check(unsigned_bytes, 1024, false);
  check(std::array<std::int8_t, 1>{-128}, 131071, true);
  check(std::array<std::uint8_t, 2>{255, 0}, 65793, true);
}

TEST_CASE("dispatch: products with epilogues at every level equal the reference") {
  random_stream r(3);
  for (const index_t rows : {1, 15, 16, 31, 32, 33, 63, 64, 77}) {
    const index_t depth = test::pick(r, 1, 130), m = test::pick(r, 1, 9);
    const auto p = test::random_palette(r, shape{rows, depth}, {});
    const auto x = test::random_tensor<std::int8_t>(r, shape{m, depth});
    const auto u = test::random_tensor<std::uint8_t>(r, shape{m, depth});
    const auto narrow = random_epilogue<requantize>(
        r, rows, {.multiplier = {}, .bias = {}, .zero_point = -3, .lo = -100, .hi = 127});
    const auto unsigned_narrow = random_epilogue<requantize>(
        r, rows, {.multiplier = {}, .bias = {}, .zero_point = 130, .lo = 7, .hi = 255});
    const auto to_float = random_epilogue<dequantize_rows>(r, rows);
    const auto sums = expected(p, x);
    tensor<float> floats(sums.extents());
    for (index_t i = 0; i < sums.size(); ++i) {
      const auto row = static_cast<std::size_t>(i % rows);
      floats[i] = reference::dequantize(sums[i], to_float.bias[row], to_float.multiplier[row],
                                        to_float.rest[row]);
    }
    CAPTURE(text_of(p.weight_shape));
    check_memory_and_bits(
        x, finished<std::int8_t>(sums, narrow),
        [&](const kernels& k, auto in, auto out) { k.gemm_narrow(k.load(p), in, narrow, out); });
    check_memory_and_bits(u, finished<std::uint8_t>(expected(p, u), unsigned_narrow),
                          [&](const kernels& k, auto in, auto out) {
                            k.gemm_narrow_unsigned(k.load(p), in, unsigned_narrow, out);
                          });
    check_memory_and_bits(x, floats, [&](const kernels& k, auto in, auto out) {
      k.gemm_rows(k.load(p), in, to_float, out);
    });
  }
}

TEST_CASE("dispatch: convolutions at every level equal the reference") {
  random_stream r(4);
  struct geometry {
    shape image, weight;
    index_t groups, stride, padding;
  };
  const geometry geometries[] = {
      {{2, 3, 9, 11}, {20, 3, 3, 3}, 1, 2, 1},
      {{1, 5, 13, 17}, {5, 1, 3, 3}, 5, 1, 1},  // depthwise
      {{1, 4, 1, 3}, {6, 2, 1, 2}, 2, 1, 0},
      {{1, 2, 20, 64}, {5, 2, 2, 2}, 1, 1, 0},
      {{1, 1, 8, 65}, {3, 1, 1, 1}, 1, 1, 0},
  };
  for (const geometry& g : geometries) {
    const auto p = test::random_palette(r, g.weight, {});
    const auto x = test::random_tensor<std::int8_t>(r, g.image);
    const auto u = test::random_tensor<std::uint8_t>(r, g.image);
    conv2d_options o{.window = window2d::symmetric({1, g.stride}, {g.padding, g.padding}),
                     .groups = g.groups};
    tensor<std::int32_t> sums(shape{g.image[0], g.weight[0],
                                    output_extent(o.window, 0, g.image[2], g.weight[2]),
                                    output_extent(o.window, 1, g.image[3], g.weight[3])});
    const auto w = reference::integer_weights(p);
    CAPTURE(text_of(g.weight));
    reference::conv2d<std::int8_t>(view(w), view(x), o.window, g.groups, 0, view(sums));
    check_memory_and_bits(
        x, sums, [&](const kernels& k, auto in, auto out) { k.conv2d(k.load(p), in, o, out); });
    o.padding_value = 200;
    const auto e = random_epilogue<requantize>(r, g.weight[0]);
    reference::conv2d<std::uint8_t>(view(w), view(u), o.window, g.groups, 200, view(sums));
    const auto narrow = finished<std::int8_t>(sums, e, sums.extent(2) * sums.extent(3));
    check_memory_and_bits(u, narrow, [&](const kernels& k, auto in, auto out) {
      k.conv2d_narrow(k.load(p), in, o, e, out);
    });
  }
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
  check_memory_and_bits(x, floats, [&](const kernels& k, auto in, auto out) {
    k.gemm_float(k.load_grouped(p), in, o, out);
  });
  tensor<std::int8_t> codes(floats.extents());
  for (index_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<std::int8_t>(encode_one(dynamic[i], u));
  }
  check_memory_and_bits(x, codes, [&](const kernels& k, auto in, auto out) {
    k.gemm_dynamic(k.load_grouped(p), in, q, out);
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
  tensor<std::int8_t> codes(floats.extents());
  for (index_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<std::int8_t>(encode_one(floats[i], u));
  }
  check_memory_and_bits(x, codes, [&](const kernels& k, auto in, auto out) {
    k.conv2d_scaled(k.load_grouped(p), in, o, {0.02F, 99}, q, out);
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
