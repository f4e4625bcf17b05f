#include <lutra/ir/ops/call.hpp>
#include <lutra/ir/ops/window.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;

TEST_CASE("call: literals are integers in range, one number standing for all") {
  const ir::node n =
      node_of("x", {{"a", {3}}, {"b", {1, 2}}, {"c", {}}, {"d", {-1}}, {"e", {1e300}}});
  CHECK(ir::integers(n, "a", 2, 0, 0) == std::vector<index_t>{3, 3});
  CHECK(ir::integers(n, "b", 2, 0, 0) == std::vector<index_t>{1, 2});
  CHECK(ir::integers(n, "none", 2, 7, 0) == std::vector<index_t>{7, 7});
  CHECK_ERROR(ir::integers(n, "b", 3, 0, 0), invalid_graph, "'b'", "got 2");
  CHECK_ERROR(ir::integers(n, "c", 1, 0, 0), invalid_graph, "'c'", "got 0");
  CHECK_ERROR(ir::integer(n, "d", 0, 0), invalid_graph, "'d'", "got -1");
  CHECK_ERROR(ir::integer(n, "e", 0, 0), invalid_graph, "'e'");
  CHECK(ir::number(n, "d", 5.0) == -1.0);
  CHECK(ir::number(n, "c", 5.0) == 5.0);
}

TEST_CASE("window: geometry of one and two axes") {
  const ir::node n = node_of("x", {{"stride", {2}}, {"padding", {1}}, {"dilation", {2}}});
  const index_t kernel[] = {3, 2};
  const ir::window two = ir::window_of(n, 2, {1, 1, 9, 10}, kernel);
  CHECK(two.output == std::array<index_t, 2>{4, 5});
  CHECK(ir::result_shape(two, 2, 6, 7) == shape{6, 7, 4, 5});
  const ir::window one = ir::window_of(n, 1, {1, 1, 9}, std::span(kernel).first(1));
  CHECK(one.output == std::array<index_t, 2>{1, 4});
  CHECK(one.stride == std::array<index_t, 2>{1, 2});
  CHECK(ir::result_shape(one, 1, 6, 7) == shape{6, 7, 4});
  CHECK_ERROR(ir::window_of(n, 2, {1, 1, 2, 10}, kernel), shape_mismatch, "does not fit",
              "at least 3 on axis 2");
}

TEST_CASE("registry: every op type once, unknown ones null") {
  for (const ir::operation& o : ir::operations) CHECK(ir::find_operation(o.name) == &o);
  CHECK(ir::find_operation("conv2") == nullptr);
  CHECK(ir::find_operation("") == nullptr);
}
