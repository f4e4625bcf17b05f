#include <lutra/ir/ops/linear.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

TEST_CASE("linear: the bits of the definition, for any leading axes") {
  for (const auto& [lead, rows, depth] : {std::tuple<shape, index_t, index_t>{{5}, 10, 63},
                                          {{1}, 1, 1},
                                          {{2, 3}, 33, 17},
                                          {{0}, 4, 4},
                                          {{3}, 2, 0},
                                          {{3}, 0, 2},
                                          {shape{}, 3, 4}}) {
    std::vector<index_t> extents(lead.begin(), lead.end());
    extents.push_back(depth);
    const auto x = random_tensor(shape(std::span<const index_t>(extents)), 1);
    const auto w = random_tensor({rows, depth}, 2);
    const auto bias = random_tensor({rows}, 3);
    const auto y = run_op(node_of("linear"), {x, w, bias});
    extents.back() = rows;
    REQUIRE(y.extents() == shape(std::span<const index_t>(extents)));
    for (index_t m = 0; m < lead.size(); ++m) {
      for (index_t r = 0; r < rows; ++r) {
        volatile float sum = 0;
        for (index_t k = 0; k < depth; ++k) {
          volatile float product = x[m * depth + k] * w[r * depth + k];
          sum = sum + product;
        }
        CHECK(y[m * rows + r] == sum + bias[r]);
      }
    }
    // A weight prepared beforehand changes nothing.
    const ir::node n = node_of("linear");
    const auto prepared = ir::prepare_linear(n, lutra::view(w));
    const std::vector<ir::float_view> operands{lutra::view(x), lutra::view(w), lutra::view(bias)};
    CHECK(test::same_bits(ir::linear({n, operands, prepared}), y));
  }
}

TEST_CASE("linear: a weight that does not fit is refused with both shapes") {
  const auto x = random_tensor({2, 5}, 1);
  CHECK_ERROR(run_op(node_of("linear"), {x, random_tensor({3, 4}, 2)}), shape_mismatch,
              "node 'n' (linear)", "[3, 4]", "[2, 5]");
  CHECK_ERROR(run_op(node_of("linear"), {x, random_tensor({5}, 2)}), shape_mismatch, "rank 2");
  CHECK_ERROR(run_op(node_of("linear"), {tensor<float>(shape{}), random_tensor({3, 4}, 2)}),
              shape_mismatch, "[3, 4]");
  CHECK_ERROR(run_op(node_of("linear"), {x, random_tensor({3, 5}, 2), random_tensor({4}, 2)}),
              shape_mismatch, "[4]", "[3]");
}
