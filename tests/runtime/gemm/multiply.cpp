#include <doctest/doctest.h>

#include <lutra/runtime/gemm.hpp>
#include <vector>

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

// Decoded weights that note where the kernel reads them.
struct noting : decoded_weights {
  static inline std::vector<const std::uint8_t*> steps;
  template <int G, class A>
  [[gnu::always_inline]] static simd::bytes_of<A> read(const std::uint8_t* w, tables<A> t) {
    if (G == 0) steps.push_back(w);
    return decoded_weights::read<G, A>(w, t);
  }
};

}  // namespace

// Results are the same in any order, so what is seen is the order itself.
TEST_CASE("multiply: steps come as depth_walk has them, in as many places as the operands say") {
  for_each_kernel_level([](auto level) {
    using A = decltype(level);
    constexpr index_t step = decoded_weights::layout.vectors * simd::vector_size<A>;
    constexpr index_t depth = decoded_weights::layout.step_depth() * simd::activation_bytes<A>;
    for (const index_t count : {0, 1, 15, 16, 41, 64}) {
      const std::vector<std::uint8_t> weights(static_cast<std::size_t>(count * step + 1), 1);
      const std::vector<std::int8_t> x(static_cast<std::size_t>(count * depth + 1), 1);
      const std::int32_t start = 0;
      for (const index_t places : {1, 4}) {
        std::vector<std::int32_t> out(static_cast<std::size_t>(simd::int_lanes<A>));
        multiply_operands o;
        o.weights = weights.data();
        o.step_bytes = step;
        o.tables = weights.data();
        o.x = x.data();
        o.start = &start;
        o.steps = count;
        o.places = places;
        o.out = out.data();
        noting::steps.clear();
        multiply_strips<A, noting, simd::any_weight, 1, 1>(o);
        std::vector<const std::uint8_t*> expected;
        depth_walk walk(count, places);
        index_t at = 0;
        for (index_t run = 0; (run = walk.run()) > 0; at += walk.skip(run)) {
          for (index_t i = 0; i < run; ++i) expected.push_back(weights.data() + at++ * step);
        }
        CHECK_MESSAGE(noting::steps == expected, count << " steps, " << places << " places");
      }
    }
  });
}

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
