#include <lutra/ir/ops/ordered_gemm.hpp>

#include "ir/helpers.hpp"
#include "levels.hpp"

using namespace lutra;
using test::random_tensor;

namespace {

// The specification: three loops, each operation rounded on its own.
float ordered_sum(const float* a, const float* b, index_t b_stride, index_t k) {
  float sum = 0;
  for (index_t p = 0; p < k; ++p) {
    volatile float product = a[p] * b[p * b_stride];
    volatile float next = sum + product;
    sum = next;
  }
  return sum;
}

}  // namespace

TEST_CASE("ordered_gemm: every level gives the bits of the three plain loops, for every shape") {
  for (const index_t m : {0, 1, 3, 4, 5, 9}) {
    for (index_t n = 0; n <= 70; n += n < 36 ? 1 : 11) {
      for (const index_t k : {0, 1, 7, 40}) {
        const auto a = random_tensor({m, k}, static_cast<std::uint64_t>(m * 100 + k));
        const index_t stride = ir::padded_columns(n) + 32;
        auto b = random_tensor({k, stride}, static_cast<std::uint64_t>(n + 7));
        const auto bias = random_tensor({ir::padded_columns(std::max(m, n)) + 1}, 5);
        for_each_level([&](auto level) {
          for (int kind = 0; kind < 3; ++kind) {
            const index_t out_stride = n + 3;
            tensor<float> out({m, out_stride});
            for (float& e : out.elements()) e = -77.0F;  // sentinel between and after the rows
            ir::gemm_problem g{.m = m, .n = n, .k = k};
            g.a = a.data();
            g.a_stride = k;
            g.b = b.data();
            g.b_stride = stride;
            g.out = out.data();
            g.out_stride = out_stride;
            if (kind == 1) g.row_bias = bias.data();
            if (kind == 2) g.column_bias = bias.data() + 1;
            ir::ordered_gemm<decltype(level)>(g);
            bool same = true;
            for (index_t i = 0; i < m; ++i) {
              for (index_t j = 0; j < out_stride; ++j) {
                float expected = -77.0F;
                if (j < n) {
                  expected = k == 0 ? 0.0F : ordered_sum(a.data() + i * k, b.data() + j, stride, k);
                  if (kind == 1) expected += bias[i];
                  if (kind == 2) expected += bias[j + 1];
                }
                same = same && out[i * out_stride + j] == expected;
              }
            }
            CHECK_MESSAGE(same, std::string(level.name), " m ", m, " n ", n, " k ", k, " ", kind);
          }
        });
      }
    }
  }
}

TEST_CASE("ordered_gemm: long sums are within the textbook bound of the exact ones") {
  const index_t k = 6272;
  const auto a = random_tensor({1, k}, 1);
  const auto b = random_tensor({k, 32}, 2);
  float out = 0;
  ir::gemm_problem g{.m = 1, .n = 1, .k = k};
  g.a = a.data();
  g.a_stride = k;
  g.b = b.data();
  g.b_stride = 32;
  g.out = &out;
  g.out_stride = 1;
  ir::ordered_gemm(g);
  double exact = 0;
  double magnitude = 0;
  for (index_t p = 0; p < k; ++p) {
    const double product = static_cast<double>(a[p]) * static_cast<double>(b[p * 32]);
    exact += product;
    magnitude += std::abs(product);
  }
  CHECK(std::abs(static_cast<double>(out) - exact) <= 6273 * 0x1p-24 * magnitude);
}
