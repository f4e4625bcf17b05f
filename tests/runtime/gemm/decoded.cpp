#include <doctest/doctest.h>

#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>

#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"
#include "runtime/sums.hpp"
#include "threads/thread_executor.hpp"

using namespace lutra;

// Parts of the depth, and columns by what is left over: gemm.cpp has the tails of everything else.
namespace {

// Calls f(level) for levels that decode ahead without tiles.
template <class F> void for_each_decoding_level(const F& f) {
  for_each_kernel_level([&](auto level) {
    if constexpr (lookups_delay_dots(level) && !has_tiles(level)) f(level);
  });
}

template <class X> bool decoded_agree(const packed_palette& p, const tensor<X>& x) {
  return test::products_agree(p, x, [](const auto& f) { for_each_decoding_level(f); });
}

}  // namespace

TEST_CASE("decoded: every number of columns around those that are too few, and around a block") {
  random_stream r(1);
  bool good = true;
  const auto check = [&](index_t m) {
    const index_t depth = m % 2 ? 40 + m : 512 + m, rows = m % 3 ? 64 : 150;
    const auto p = test::random_palette(r, shape{rows, depth}, {});
    good = decoded_agree(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
  };
  const index_t step = test::quick() ? 5 : 1;
  for (index_t m = few_columns - 1; m < few_columns + 20; m += step) check(m);
  for (index_t m = 94; m < 125; m += step) check(m);
  CHECK(good);
}

TEST_CASE(
    "decoded: every tail of the depth, around one and two parts, for every way to store codes") {
  random_stream r(2);
  bool good = true;
  for (const index_t middle : {index_t{20}, decoded_depth, 2 * decoded_depth}) {
    for (index_t depth = middle - 17; depth <= middle + 17; depth += test::quick() ? 6 : 1) {
      for (const int bits : {2, 3, 4, 6}) {
        if (depth % 4 != 0 && bits != 4) continue;
        const index_t m = test::pick(r, few_columns + 1, 44);
        const auto p = test::random_palette(r, shape{64 + depth % 3, depth},
                                            {.bits = bits,
                                             .group_rows = bits == 4 && depth % 2 ? 4 : 0,
                                             .zero_points = depth % 5 == 0});
        good = decoded_agree(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
        good = decoded_agree(p, test::random_tensor<std::uint8_t>(r, shape{m, depth})) && good;
      }
    }
  }
  CHECK(good);
}

TEST_CASE("decoded: extreme values, several parts") {
  for (const int entry : {-128, 127}) {
    packed_palette p;
    p.weight_shape = shape{65, 1100};
    p.block = p.weight_shape;
    p.codes.resize(static_cast<std::size_t>(packed_bytes(65 * 1100, 4)), 0x35);
    p.n_bits = 4;
    p.lut_codes.assign(16, static_cast<std::uint8_t>(entry));
    p.scale = {1.0F};
    tensor<std::int8_t> x(shape{33, 1100});
    tensor<std::uint8_t> u(x.extents());
    for (index_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<std::int8_t>(i / 1100 % 2 ? 127 : -128);
      u[i] = static_cast<std::uint8_t>(i / 1100 % 2 ? 255 : 0);
    }
    CHECK(decoded_agree(p, x));
    CHECK(decoded_agree(p, u));
  }
}

TEST_CASE("decoded: no depth, and threads that each decode for themselves") {
  random_stream r(3);
  const auto p = test::random_palette(r, shape{300, 700}, {});
  const auto x = test::random_tensor<std::int8_t>(r, shape{45, 700});
  const auto expected = test::sums(p, x);
  for_each_decoding_level([&](auto level) {
    const lut_matrix w = make_lut_matrix(p, level);
    for (int round = 0; round < 20; ++round) {
      tensor<std::int32_t> out(expected.extents());
      gemm(test::thread_executor{2}, w, x, out, level);
      CHECK(out == expected);
    }
    const lut_matrix none = make_lut_matrix(test::random_palette(r, shape{64, 0}, {}), level);
    tensor<std::int32_t> out(shape{30, 64}, std::vector<std::int32_t>(30 * 64, 9));
    gemm(none, tensor<std::int8_t>(shape{30, 0}), out, level);
    for (const std::int32_t y : out.elements()) CHECK(y == 0);
  });
}
