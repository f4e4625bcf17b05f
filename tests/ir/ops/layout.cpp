#include <lutra/ir/ops/layout.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

TEST_CASE("layout: flatten joins a range of axes") {
  const auto x = random_tensor({2, 3, 4, 5}, 1);
  CHECK(run_op(node_of("flatten"), {x}) == x.reshaped({2, 60}));
  CHECK(run_op(node_of("flatten", {{"start_dim", {0}}}), {x}) == x.reshaped({120}));
  CHECK(run_op(node_of("flatten", {{"start_dim", {1}}, {"end_dim", {2}}}), {x}) ==
        x.reshaped({2, 12, 5}));
  CHECK_ERROR(run_op(node_of("flatten", {{"start_dim", {4}}}), {x}), invalid_argument, "axis");
  CHECK_ERROR(run_op(node_of("flatten", {{"start_dim", {2}}, {"end_dim", {1}}}), {x}),
              invalid_graph, "before it starts");
}

TEST_CASE("layout: a literal that is no axis is refused before it becomes an integer") {
  const auto x = random_tensor({2, 3}, 1);
  const double inf = std::numeric_limits<double>::infinity();
  const std::pair<double, const char*> bad[] = {{inf, "got inf"},
                                                {-inf, "got -inf"},
                                                {std::nan(""), "nan"},
                                                {1e300, "got 1e+300"},
                                                {0.5, "got 0.5"}};
  for (const auto& [literal, text] : bad) {
    const double axis = literal;  // clang 14 captures no structured bindings
    for (const char* key : {"start_dim", "end_dim"}) {
      CHECK_ERROR(run_op(node_of("flatten", {{key, {axis}}}), {x}), invalid_argument,
                  "axis out of bounds", text);
    }
    for (const char* key : {"dim0", "dim1"}) {
      CHECK_ERROR(run_op(node_of("transpose", {{key, {axis}}}), {x}), invalid_argument,
                  "axis out of bounds", text);
    }
    CHECK_ERROR(run_op(node_of("permute", {{"dims", {axis, 1}}}), {x}), invalid_argument,
                "axis out of bounds", text);
    CHECK_ERROR(run_op(node_of("cat", {{"dim", {axis}}}), {x, x}), invalid_argument,
                "axis out of bounds", text);
    CHECK_ERROR(run_op(node_of("softmax", {{"dim", {axis}}}), {x}), invalid_argument,
                "axis out of bounds", text);
    CHECK_ERROR(run_op(node_of("mean", {{"dim", {axis}}}), {x}), invalid_argument,
                "axis out of bounds", text);
  }
}

TEST_CASE("layout: reshape keeps the elements; one extent may be open") {
  const auto x = random_tensor({2, 6}, 1);
  const auto to = [&](std::vector<double> extents) {
    return run_op(node_of("reshape", {{"shape", std::move(extents)}}), {x}).extents();
  };
  CHECK(to({3, 4}) == shape{3, 4});
  CHECK(to({-1, 3}) == shape{4, 3});
  CHECK(to({12, -1}) == shape{12, 1});
  CHECK_ERROR(to({5, -1}), shape_mismatch, "element counts", "12");
  CHECK_ERROR(to({3, 5}), shape_mismatch, "[3, 5]");
  CHECK_ERROR(to({-1, -1}), invalid_graph, "got -1");
  CHECK_ERROR(to({0, -1}), shape_mismatch, "element counts");
  CHECK_ERROR(to({2.5, 4}), invalid_graph, "got 2.5");
  CHECK_ERROR(to({1e18, 1e18}), invalid_graph, "extent out of range");
  CHECK_ERROR(run_op(node_of("reshape"), {x}), invalid_graph, "without a shape");
}

TEST_CASE("layout: permute and transpose move axes, not values") {
  const auto x = random_tensor({2, 3, 4}, 1);
  const auto y = run_op(node_of("permute", {{"dims", {2, 0, -2}}}), {x});
  REQUIRE(y.extents() == shape{4, 2, 3});
  const auto t = run_op(node_of("transpose"), {x});
  REQUIRE(t.extents() == shape{2, 4, 3});
  const auto first = run_op(node_of("transpose", {{"dim0", {0}}, {"dim1", {-1}}}), {x});
  REQUIRE(first.extents() == shape{4, 3, 2});
  for (index_t i = 0; i < 2; ++i) {
    for (index_t j = 0; j < 3; ++j) {
      for (index_t k = 0; k < 4; ++k) {
        const float v = x[(i * 3 + j) * 4 + k];
        CHECK(y[(k * 2 + i) * 3 + j] == v);
        CHECK(t[(i * 4 + k) * 3 + j] == v);
        CHECK(first[(k * 3 + j) * 2 + i] == v);
      }
    }
  }
  CHECK_ERROR(run_op(node_of("permute", {{"dims", {0, 1}}}), {x}), invalid_graph, "'dims'",
              "[0, 1]", "3 axes");
  CHECK_ERROR(run_op(node_of("permute", {{"dims", {0, 1, 1}}}), {x}), invalid_graph, "[0, 1, 1]");
  CHECK_ERROR(run_op(node_of("permute"), {x}), invalid_graph, "none");
  CHECK_ERROR(run_op(node_of("permute", {{"dims", {0, 1, 3}}}), {x}), invalid_argument, "axis");
  CHECK_ERROR(run_op(node_of("transpose", {{"dim0", {5}}}), {x}), invalid_argument, "axis");
}

TEST_CASE("layout: concatenation along any axis") {
  const auto a = random_tensor({2, 3, 2}, 1);
  const auto b = random_tensor({2, 1, 2}, 2);
  const auto y = run_op(node_of("cat", {{"dim", {1}}}), {a, b, a});
  REQUIRE(y.extents() == shape{2, 7, 2});
  for (index_t n = 0; n < 2; ++n) {
    for (index_t i = 0; i < 7; ++i) {
      for (index_t k = 0; k < 2; ++k) {
        const float expected = i < 3   ? a[(n * 3 + i) * 2 + k]
                               : i < 4 ? b[n * 2 + k]
                                       : a[(n * 3 + i - 4) * 2 + k];
        CHECK(y[(n * 7 + i) * 2 + k] == expected);
      }
    }
  }
  CHECK(run_op(node_of("cat", {{"dim", {-2}}}), {a, b}).extents() == shape{2, 4, 2});
  CHECK(run_op(node_of("cat"), {a, a}).extents() == shape{4, 3, 2});
  CHECK(run_op(node_of("cat"), {a}) == a);
  CHECK_ERROR(run_op(node_of("cat"), {a, b}), shape_mismatch, "[2, 1, 2]", "[2, 3, 2]");
  CHECK_ERROR(run_op(node_of("cat", {{"dim", {3}}}), {a, a}), invalid_argument, "axis");
  CHECK_ERROR(run_op(node_of("cat"), {}), invalid_graph, "wrong number of operands");
}
