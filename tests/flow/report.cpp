#include <doctest/doctest.h>
#include <cmath>
#include <lutra/flow/report.hpp>

using namespace lutra;

TEST_CASE("report: figures of a weight") {
  weight_record w;
  w.extents = shape{4, 4};
  w.signal = 1000.0;
  w.error = 1.0;
  w.bytes_after = 10;
  CHECK(w.sqnr_db() == doctest::Approx(30.0));
  CHECK(w.bits_per_weight() == 5.0);
  w.error = 0.0;
  CHECK(std::isinf(w.sqnr_db()));
  CHECK(weight_record{}.bits_per_weight() == 0.0);
  CHECK(name_of(tensor_status::compressed) == "compressed");
  CHECK(name_of(tensor_status::left_dense) == "left_dense");
}

TEST_CASE("report: figures of an activation") {
  activation_record a;
  CHECK(std::isnan(a.sqnr_db()));  // not measured
  a.signal = 1000.0;
  a.error = 1.0;
  a.measured = 10;
  CHECK(a.sqnr_db() == doctest::Approx(30.0));
  a.error = 0.0;
  CHECK(std::isinf(a.sqnr_db()));
  a.extents = shape{3, 5};
  CHECK(a.bytes_before() == 60);
  CHECK(a.bytes_after() == 15);
  a.dtype = dtype::int4;
  CHECK(a.bytes_after() == 8);
}
