#include <doctest/doctest.h>

#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>

#include "runtime/output_memory.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

// Blocks, parts and strips as tiles cut them: gemm.cpp has the tails of everything else.
#if !LUTRA_PORTABLE && LUTRA_AMX_INT8
namespace {

using A = simd::amx_int8;

// Products of memory that ends at a guard page in fenced memory.
template <class X> bool agrees(const packed_palette& p, const tensor<X>& x) {
  const index_t m = x.extent(0), rows = p.weight_shape[0];
  const auto w = reference::integer_weights(p);
  tensor<std::int32_t> expected(shape{m, rows});
  reference::gemm<X>({w.data(), shape{rows, p.weight_shape[1]}}, view(x), view(expected));
  test::guarded<X> input(x.size());
  std::ranges::copy(x.elements(), input.data());
  test::fenced<std::int32_t> out(m * rows, 1 + (rows + m) % 3);
  gemm(make_lut_matrix(p, A{}, {.three_bits_from = 0}),
       tensor_view<const X>(input.data(), x.extents()),
       tensor_view<std::int32_t>(out.data(), shape{m, rows}), A{});
  const bool good =
      std::equal(expected.elements().begin(), expected.elements().end(), out.data()) &&
      out.intact();
  if (!good) MESSAGE(p.n_bits << " bits, " << text_of(p.weight_shape) << ", m " << m);
  return good;
}

}  // namespace

TEST_CASE("tiles: every number of columns around one and two tiles and blocks") {
  random_stream r(1);
  bool good = true;
  for (index_t m = 6; m <= 70; ++m) {
    const index_t depth = 180 + m % 5 * 13, rows = m % 2 ? 128 : 64 + m;
    const auto p = test::random_palette(r, shape{rows, depth}, {.lowest = m % 3 ? -127 : -128});
    good = agrees(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
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
    good = agrees(p, test::random_tensor<std::int8_t>(r, shape{m, depth})) && good;
    good = agrees(p, test::random_tensor<std::uint8_t>(r, shape{m, depth})) && good;
  }
  CHECK(good);
}

TEST_CASE("tiles: a matrix beyond the cache, whose panels are read front to back") {
  random_stream r(3);
  const auto p = test::random_palette(r, shape{64 * 9 + 21, 4100}, {});
  CHECK(agrees(p, test::random_tensor<std::int8_t>(r, shape{7, 4100})));
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
    CHECK(agrees(p, x));
    CHECK(agrees(p, u));
  }
}
#endif

TEST_CASE("tiles: few products are left to the vectors") {
  CHECK(!tiles_pay(5, 100000));
  CHECK(!tiles_pay(32, 31));
  CHECK(tiles_pay(32, 32));
  CHECK(tiles_pay(6, 1024));
}
