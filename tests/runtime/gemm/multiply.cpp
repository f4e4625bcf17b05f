#include <doctest/doctest.h>

#include <lutra/runtime/gemm.hpp>

#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"
#include "runtime/sums.hpp"

using namespace lutra;

namespace {

// As if no cache held anything.
struct from_memory {
  index_t before = simd::stream_threshold();
  from_memory() { simd::set_stream_threshold(0); }
  from_memory(const from_memory&) = delete;
  from_memory& operator=(const from_memory&) = delete;
  ~from_memory() { simd::set_stream_threshold(before); }
};

}  // namespace

// What comes from memory is read in several places of the depth; gemm.cpp has all that is read front to back.
TEST_CASE("multiply: weights from memory, every tail of the depth and number of columns") {
  const from_memory all;
  random_stream r(1);
  const index_t rows = 131;  // two whole panels of the widest level, and strips
  for (index_t depth = 0; depth < 700; depth += depth < 40 || test::quick() ? 37 : 5) {
    const index_t m = depth % 9 + 1;
    const int bits = test::pick(r, 0, 1) == 0 ? 4 : static_cast<int>(test::pick(r, 1, 8));
    const auto p = test::random_palette(r, shape{rows, depth},
                                        {.bits = bits, .lowest = depth % 3 ? -127 : -128});
    const auto x = test::random_tensor<std::int8_t>(r, shape{m, depth});
    const auto expected = test::sums(p, x);
    for_each_kernel_level([&](auto level) {
      const lut_matrix w = make_lut_matrix(p, level);
      test::fenced<std::int32_t> out(m * rows, 1 + depth % 3);
      gemm(w, x, tensor_view<std::int32_t>(out.data(), shape{m, rows}), level);
      bool same = out.intact();
      for (index_t i = 0; i < m * rows; ++i) same = same && out.data()[i] == expected[i];
      CHECK_MESSAGE(same, bits << " bits, depth " << depth << ", m " << m);
    });
  }
}
