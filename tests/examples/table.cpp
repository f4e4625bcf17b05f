#include <doctest/doctest.h>

#include <common/table.hpp>

using namespace lutra_examples;

TEST_CASE("table: columns are aligned, the first left and the others right") {
  table t({"name", "n"});
  t.row({"a", "10"});
  t.row({"longer", "7"});
  CHECK(t.text() ==
        "name     n\n"
        "----------\n"
        "a       10\n"
        "longer   7\n");
}

TEST_CASE("table: numbers") {
  CHECK(fixed(1.0 / 3, 3) == "0.333");
  CHECK(thousands(0) == "0");
  CHECK(thousands(999) == "999");
  CHECK(thousands(1000) == "1,000");
  CHECK(thousands(-1234567) == "-1,234,567");
  CHECK(thousands(-123) == "-123");
}

TEST_CASE("table: the progress bar never cancels") {
  const progress_bar bar("x");
  CHECK(bar("stage", 0, 0));
  CHECK(bar("stage", 3, 3));
}
