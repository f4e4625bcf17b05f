#include <lutra/ir/ops/matmul.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

TEST_CASE("matmul: plain, batched and with one shared matrix, every sum in order") {
  const struct {
    shape a, b, out;
  } cases[] = {{{3, 4}, {4, 5}, {3, 5}},       {{2, 3, 7, 5}, {2, 3, 5, 33}, {2, 3, 7, 33}},
               {{6, 2, 9}, {9, 4}, {6, 2, 4}}, {{2, 3}, {3, 0}, {2, 0}},
               {{2, 0}, {0, 3}, {2, 3}},       {{0, 2, 3}, {0, 3, 4}, {0, 2, 4}}};
  std::uint64_t seed = 0;
  for (const auto& c : cases) {
    const auto a = random_tensor(c.a, ++seed);
    const auto b = random_tensor(c.b, ++seed);
    const auto y = run_op(node_of("matmul"), {a, b});
    REQUIRE(y.extents() == c.out);
    const index_t m = c.a[c.a.rank() - 2], k = c.a[c.a.rank() - 1], n = c.b[c.b.rank() - 1];
    for (index_t i = 0; i < y.size(); ++i) {
      const index_t batch = i / (m * n);
      const float* column = b.data() + (c.b.rank() == 2 ? 0 : batch * k * n) + i % n;
      volatile float sum = 0;
      for (index_t p = 0; p < k; ++p) {
        volatile float product = a[i / n * k + p] * column[p * n];
        sum = sum + product;
      }
      CHECK(y[i] == sum);
    }
  }
}

TEST_CASE("matmul: matrices that do not fit are refused with both shapes") {
  const auto run = [](const shape& a, const shape& b) {
    return run_op(node_of("matmul"), {tensor<float>(a), tensor<float>(b)});
  };
  CHECK_ERROR(run({3, 4}, {5, 4}), shape_mismatch, "node 'n' (matmul)", "[5, 4]", "[3, 4]");
  CHECK_ERROR(run({2, 3, 4}, {3, 4, 5}), shape_mismatch, "[3, 4, 5]");
  CHECK_ERROR(run({4}, {4, 5}), shape_mismatch, "[4, 5]", "[4]");
  CHECK_ERROR(run({3, 4}, {1, 4, 5}), shape_mismatch, "[1, 4, 5]");
  CHECK_ERROR(run_op(node_of("matmul"), {tensor<float>({2, 2})}), invalid_graph, "operands");
}
