#include <lutra/ir/ops/embedding.hpp>

#include <limits>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

TEST_CASE("embedding: rows in the order of the indices") {
  const auto table = random_tensor({5, 3}, 1);
  const tensor<float> indices({2, 2}, {4.0F, 0.0F, 4.0F, 2.0F});
  const auto y = run_op(node_of("embedding"), {table, indices});
  REQUIRE(y.extents() == shape{2, 2, 3});
  for (index_t i = 0; i < 4; ++i) {
    for (index_t k = 0; k < 3; ++k) {
      CHECK(y[i * 3 + k] == table[static_cast<index_t>(indices[i]) * 3 + k]);
    }
  }
  CHECK(run_op(node_of("embedding"), {table, tensor<float>({0})}).extents() == shape{0, 3});
}

TEST_CASE("embedding: indices out of range are named") {
  const auto table = random_tensor({5, 3}, 1);
  const auto run = [&](float index) {
    return run_op(node_of("embedding"), {table, tensor<float>({2}, {1.0F, index})});
  };
  CHECK_ERROR(run(5.0F), invalid_argument, "node 'n' (embedding)", "5 at position 1", "0..4");
  CHECK_ERROR(run(-1.0F), invalid_argument, "-1 at position 1");
  CHECK_ERROR(run(0.5F), invalid_argument, "0.5 at position 1");
  CHECK_ERROR(run(std::numeric_limits<float>::quiet_NaN()), invalid_argument, "position 1");
  CHECK_ERROR(run_op(node_of("embedding"), {random_tensor({5}, 1), table}), shape_mismatch,
              "wrong rank", "[5]");
}
