#include <lutra/number/suggestion.hpp>

#include <doctest/doctest.h>
#include <array>
#include <lutra/number/dtype.hpp>

#include "../errors.hpp"

TEST_CASE("suggestion: distances by hand") {
  CHECK(lutra::edit_distance("", "") == 0);
  CHECK(lutra::edit_distance("", "abc") == 3);
  CHECK(lutra::edit_distance("abc", "") == 3);
  CHECK(lutra::edit_distance("kitten", "sitting") == 3);
  CHECK(lutra::edit_distance("int8", "uint8") == 1);
  CHECK(lutra::edit_distance("itn8", "int8") == 1);
  CHECK(lutra::edit_distance("ab", "ba") == 1);
  CHECK(lutra::edit_distance("abcd", "badc") == 2);
  CHECK(lutra::edit_distance("aa", "aa") == 0);
}

TEST_CASE("suggestion: the nearest name, if it is near") {
  const std::array<std::string_view, 3> names = {"static", "moving_average", "global_minmax"};
  CHECK(lutra::did_you_mean("statik", names) == "; did you mean 'static'?");
  CHECK(lutra::did_you_mean("global_min_max", names) == "; did you mean 'global_minmax'?");
  CHECK(lutra::did_you_mean("histogram", names).empty());
  CHECK(lutra::did_you_mean("", names).empty());
  CHECK(lutra::did_you_mean("static", {}).empty());
}

TEST_CASE("suggestion: of a dtype") {
  CHECK_ERROR(lutra::parse_dtype("float8_e4m3f"), unsupported, "did you mean 'float8_e4m3fn'");
  CHECK_ERROR(lutra::parse_dtype("itn8"), unsupported, "did you mean 'int8'");
  CHECK_ERROR(lutra::parse_dtype("complex64"), unsupported, "unknown dtype", "int1..int8");
}
