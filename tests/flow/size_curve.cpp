#include <lutra/flow/size_curve.hpp>

#include "errors.hpp"
#include "tables.hpp"

using namespace lutra;

TEST_CASE("size_curve: choices beaten in both bytes and error go") {
  const layer_choices row =
      test::row_of("a", {{5, 9.0}, {7, 9.0}, {6, 4.0}, {6, 4.0}, {5, 8.0}, {9, 4.5}, {9, 1.0}});
  CHECK(undominated(row) == std::vector<index_t>{4, 2, 6});
  CHECK(undominated(layer_choices{}).empty());
  CHECK(undominated(test::row_of("one", {{3, 1.0}})) == std::vector<index_t>{0});
}

TEST_CASE("size_curve: corners of a small table") {
  // Row a saves 3 per byte, then 0.5; its middle choice of 3 bytes lies above the hull. Row b saves 1 per byte.
  const layer_table table{test::row_of("a", {{1, 10}, {3, 9}, {4, 1}, {6, 0}}),
                          test::row_of("b", {{2, 5}, {4, 3}})};
  const size_curve curve(table);
  REQUIRE(curve.corners().size() == 4);
  CHECK(curve.steps()[0].layer == 0);
  CHECK(curve.steps()[0].choice == 2);
  CHECK(curve.steps()[0].price == 3.0);
  CHECK(curve.steps()[1].layer == 1);
  CHECK(curve.steps()[2].price == 0.5);
  const std::int64_t bytes[] = {3, 6, 8, 10};
  const double errors[] = {15, 6, 4, 3};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(curve.corners()[i].bytes == bytes[i]);
    CHECK(curve.corners()[i].error == errors[i]);
    CHECK(cost_of(table, curve.choice_at(i)).bytes == bytes[i]);
    CHECK(curve.lower_bound(bytes[i]) == doctest::Approx(errors[i]));
    CHECK(curve.corner_below(bytes[i]) == i);
  }
  CHECK(curve.least_bytes() == 3);
  CHECK(curve.lower_bound(7) == doctest::Approx(5));
  CHECK(curve.corner_below(7) == 1);
  CHECK(curve.price_at(7) == 1.0);
  CHECK(curve.price_at(100) == 0.0);
  CHECK(curve.lower_bound(100) == 3.0);
  CHECK_ERROR(size_curve(layer_table()), invalid_argument, "no layers", "size_curve");
}

TEST_CASE("size_curve: corners are optimal, the line between them is a bound") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const layer_table table = test::random_table(seed, 4, 5);
    const size_curve curve(table);
    CAPTURE(seed);
    for (std::size_t i = 0; i < curve.corners().size(); ++i) {
      const table_cost& corner = curve.corners()[i];
      CHECK(test::best_by_trying(table, corner.bytes).error == corner.error);
      if (i == 0) continue;
      CHECK(corner.bytes > curve.corners()[i - 1].bytes);
      CHECK(corner.error < curve.corners()[i - 1].error);
      if (i > 1) CHECK(curve.steps()[i - 1].price <= curve.steps()[i - 2].price);
    }
    for (std::int64_t target = curve.least_bytes(); target <= 130; ++target) {
      CHECK(curve.lower_bound(target) <= test::best_by_trying(table, target).error);
    }
    CHECK(test::best_by_trying(table, curve.least_bytes() - 1).bytes == -1);
  }
}
