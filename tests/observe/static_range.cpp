#include <lutra/observe/static_range.hpp>

#include "../errors.hpp"

#include <limits>
#include <lutra/tensor/tensor.hpp>

#include "range_of.hpp"

using namespace lutra;

TEST_CASE("static_range: the last tensor counts, in order of append too") {
  static_range o({});
  CHECK(o.units() == 0);
  o.observe(view(std::vector<float>{-3, 5}));
  o.observe(view(std::vector<float>{-1, 2, 7}));
  CHECK(range_of(o) == ends{{-1}, {7}});
  CHECK(o.samples() == 5);
  static_range later({});
  o.append(later);
  CHECK(range_of(o) == ends{{-1}, {7}});
  later.observe(view(std::vector<float>{4}));
  o.append(later);
  CHECK(range_of(o) == ends{{0}, {4}});
  CHECK(o.samples() == 6);
  o.observe(view(std::vector<float>{}));  // an empty tensor says nothing
  CHECK(range_of(o) == ends{{0}, {4}});
  o.reset();
  CHECK(o.units() == 0);
  CHECK(o.samples() == 0);
}

TEST_CASE("static_range: a unit without a finite element is [0, 0]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  static_range o({.granularity = granularity::per_channel(0)});
  o.observe(view(tensor<float>(shape{2, 2}, {nan, nan, 1, nan})));
  CHECK(range_of(o) == ends{{0, 0}, {0, 1}});
  CHECK(o.nonfinite() == 3);
}

TEST_CASE("static_range: a failed observe leaves the object as it was") {
  static_range o({.granularity = granularity::per_block(2, 0)});
  o.observe(view(tensor<float>(shape{4}, {1, 2, 3, 4})));
  CHECK_ERROR(o.observe(view(tensor<float>(shape{5}))), incompatible, "does not divide");
  CHECK_ERROR(o.observe(view(tensor<float>(shape{6}))), shape_mismatch, "number of units");
  CHECK(range_of(o) == ends{{0, 0}, {2, 4}});
  CHECK(o.samples() == 4);
}

TEST_CASE("static_range: save and load") {
  static_range o({.granularity = granularity::per_channel(0)});
  o.observe(view(tensor<float>(shape{2, 2}, {-1, 2, 3, -4})));
  check_save_load(o, static_range({.granularity = granularity::per_channel(0)}));
}
