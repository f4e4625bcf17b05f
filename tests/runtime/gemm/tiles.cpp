#include <doctest/doctest.h>

#include <lutra/core/executor_ref.hpp>
#include <lutra/runtime/float_gemm.hpp>
#include <lutra/runtime/reference.hpp>

#include "noting_executor.hpp"
#include "runtime/output_memory.hpp"
#include "runtime/palettes.hpp"
#include "runtime/sums.hpp"
#include "threads/thread_executor.hpp"

using namespace lutra;

// Blocks, parts and strips as tiles cut them: gemm.cpp has the tails of everything else.
#if !LUTRA_PORTABLE && LUTRA_AMX_INT8
namespace {

using A = simd::amx_int8;

template <class X> bool tiles_agree(const packed_palette& p, const tensor<X>& x) {
  return test::products_agree(p, x, [](const auto& f) { f(A{}); });
}

}  // namespace

TEST_CASE("tiles: every number of columns around one and two tiles and blocks") {
  random_stream r(1);
  bool good = true;
  for (index_t m = 5; m <= 70; ++m) {
    const index_t depth = 180 + m % 5 * 13, rows = m % 2 ? 128 : 64 + m;
    const auto p = test::random_palette(r, shape{rows, depth}, {.lowest = m % 3 ? -127 : -128});
    good = tiles_agree(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
  }
  CHECK(good);
}

TEST_CASE(
    "tiles: every tail of the depth, from one step to three parts, and of rows, in each width") {
  random_stream r(2);
  bool good = true;
  for (index_t depth = 30; depth <= 200; depth += 1 + depth % 3) {
    const index_t m = depth < 64 ? 40 : depth % 2 ? 17 : 35;
    const int bits = 1 + static_cast<int>(depth % 8);
    const index_t group = depth % 4 == 0 ? 4 : 0;
    const auto p = test::random_palette(r, shape{1 + depth * 7 % 150, depth},
                                        {.bits = bits, .group_rows = group, .lowest = -128});
    good = tiles_agree(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
    good = tiles_agree(p, test::random_tensor<std::uint8_t>(r, shape{m, depth})) && good;
  }
  CHECK(good);
}

TEST_CASE("tiles: a matrix beyond the cache, panel by panel or front to back, the last one short") {
  random_stream r(3);
  const auto p = test::random_palette(r, shape{64 * 9 + 21, 4100}, {});
  for (const index_t m : {7, 33, 50}) {
    CHECK(tiles_agree(p, test::random_tensor<std::int8_t>(r, shape{m, 4100})));
  }
}

TEST_CASE("tiles: from memory, parts of the depth in several places, and what they leave over") {
  random_stream r(6);
  const index_t before = simd::stream_threshold();
  simd::set_stream_threshold(1);
  bool good = true;
  for (const index_t depth : {64, 250, 256, 500, 1023, 1024, 1100}) {
    for (const int bits : {2, 3, 4, 6, 8}) {
      const index_t rows = depth == 1024 ? 64 * 30 + 40 : 64 * 3 + 20;
      const auto p = test::random_palette(r, shape{rows, depth}, {.bits = bits});
      const index_t m = bits == 3 ? 40 : 16 + 5 * (depth % 2);
      good = tiles_agree(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
    }
  }
  // Beyond the second-level cache: whole panels at a time.
  for (const index_t depth : {2100, 4096}) {
    const auto p = test::random_palette(r, shape{64 * 17 + 21, depth}, {});
    for (const index_t m : {5, 16, 33}) {
      good = tiles_agree(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
    }
  }
  simd::set_stream_threshold(before);
  CHECK(good);
}

TEST_CASE("tiles: extreme values") {
  for (const int entry : {-128, 127}) {
    packed_palette p;
    p.weight_shape = shape{65, 1024};
    p.block = p.weight_shape;
    p.n_bits = 4;
    p.codes.resize(static_cast<std::size_t>(packed_bytes(65 * 1024, 4)), 0x35);
    p.lut_codes.assign(16, static_cast<std::uint8_t>(entry));
    p.scale = {1.0F};
    tensor<std::int8_t> x(shape{33, 1024});
    tensor<std::uint8_t> u(x.extents());
    for (index_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<std::int8_t>(i / 1024 % 2 ? 127 : -128);
      u[i] = static_cast<std::uint8_t>(i / 1024 % 2 ? 255 : 0);
    }
    CHECK(tiles_agree(p, x));
    CHECK(tiles_agree(p, u));
  }
}

// Blocks are taken away one by one, or rows have several digits; slices that are too small for tiles are among others.
TEST_CASE("tiles: epilogues and float products have the bits of the level without tiles") {
  random_stream r(4);
  using V = simd::avx512vnni_vbmi;
  for (const index_t m : {5, 6, 11, 16, 17, 32, 33, 40, 75}) {
    const index_t rows = 130 + m, depth = 70 + 300 * (m % 2);
    CAPTURE(m);
    const auto p = test::random_palette(r, shape{rows, depth}, {});
    const auto x = test::random_tensor<std::uint8_t>(r, shape{m, depth});
    requantize e;
    e.multiplier.assign(static_cast<std::size_t>(rows), 0.0003F);
    e.zero_point = 3;
    tensor<std::int8_t> narrow(shape{m, rows}), narrow_without(shape{m, rows});
    gemm(make_lut_matrix(p, A{}), x, e, narrow, A{});
    gemm(make_lut_matrix(p, V{}), x, e, narrow_without, V{});
    CHECK(narrow == narrow_without);
    narrow = tensor<std::int8_t>(shape{m, rows});
    gemm(test::thread_executor{2}, make_lut_matrix(p, A{}), x, e, narrow, A{});
    CHECK(narrow == narrow_without);
    const auto sliced = test::random_palette(
        r, shape{rows, depth}, {.group_rows = 1, .zero_points = true, .group_columns = depth / 2});
    tensor<float> f(shape{m, depth});
    for (float& v : f.elements()) v = static_cast<float>(r.uniform() - 0.5);
    tensor<float> out(shape{m, rows}), without(shape{m, rows});
    gemm_float(make_grouped_lut_matrix(sliced, A{}), f, {}, out, A{});
    gemm_float(make_grouped_lut_matrix(sliced, V{}), f, {}, without, V{});
    CHECK(out == without);
    gemm_dynamic(make_grouped_lut_matrix(sliced, A{}), f, {}, out, A{});
    gemm_dynamic(make_grouped_lut_matrix(sliced, V{}), f, {}, without, V{});
    CHECK(out == without);
  }
}

TEST_CASE("tiles: each thread has its own") {
  random_stream r(5);
  const auto p = test::random_palette(r, shape{700, 260}, {});
  const auto w = make_lut_matrix(p, A{});
  const auto x = test::random_tensor<std::int8_t>(r, shape{45, 260});
  tensor<std::int32_t> expected(shape{45, 700});
  reference::gemm<std::int8_t>(view(reference::integer_weights(p)), view(x), view(expected));
  for (int round = 0; round < 20; ++round) {
    tensor<std::int32_t> out(expected.extents());
    gemm(test::thread_executor{2}, w, x, out, A{});
    CHECK(out == expected);
  }
  std::array<bool, 4> good{};
  test::in_threads([&](int t) {  // of other shapes at once
    const index_t m = 6 + 13 * t;
    const tensor_view<const std::int8_t> some(x.data(), shape{m, 260});
    tensor<std::int32_t> out(shape{m, 700});
    gemm(w, some, out, A{});
    good[static_cast<std::size_t>(t)] =
        std::equal(out.elements().begin(), out.elements().end(), expected.elements().begin());
  });
  for (const bool g : good) CHECK(g);
}

TEST_CASE(
    "tiles: what is serial takes all panels in one go, behind a reference too; others share them") {
  random_stream r(6);
  const auto p = test::random_palette(r, shape{64 * 9 + 21, 260}, {});
  const auto w = make_lut_matrix(p, A{});
  const auto x = test::random_tensor<std::int8_t>(r, shape{45, 260});
  const auto expected = test::sums(p, x);
  for (const bool serial : {true, false}) {
    const index_t pieces = test::most_pieces(serial, [&](const test::noting_executor& ex) {
      tensor<std::int32_t> out(expected.extents()), out_of_reference(expected.extents());
      gemm(ex, w, x, out, A{});
      gemm(executor_ref(ex), w, x, out_of_reference, A{});
      CHECK(out == expected);
      CHECK(out_of_reference == expected);
    });
    CHECK(pieces == (serial ? 1 : w.panels()));
  }
}
#endif

TEST_CASE("tiles: few products are left to the vectors") {
  CHECK(!tiles_pay(4, 100000));
  CHECK(tiles_pay(4, 100000, least_tiled(in_cache_bytes)));
  CHECK(!tiles_pay(4, 100000, least_tiled(in_cache_bytes + 1)));
  CHECK(!tiles_pay(3, 100000, least_tiled(0)));
  CHECK(!tiles_pay(32, 31));
  CHECK(tiles_pay(32, 32));
  CHECK(tiles_pay(5, 1024));
}
