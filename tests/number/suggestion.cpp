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

TEST_CASE("suggestion: none of several names as near, but one that is nearer than they are") {
  const std::array<std::string_view, 4> names = {"abcdef1", "abcdef2", "abcdef2", "abcdefghi"};
  CHECK(lutra::did_you_mean("abcdef9", names).empty());
  CHECK(lutra::did_you_mean("abcdefgh", names) == "; did you mean 'abcdefghi'?");
  CHECK(lutra::did_you_mean("abcdef2", names) == "; did you mean 'abcdef2'?");
}

static bool suggests_nothing(const char* dtype) {
  try {
    lutra::parse_dtype(dtype);
  } catch (const lutra::error& e) {
    return std::string_view(e.what()).find("did you mean") == std::string_view::npos;
  }
  return false;
}

TEST_CASE("suggestion: of a dtype") {
  CHECK_ERROR(lutra::parse_dtype("float8_e4m3f"), unsupported, "did you mean 'float8_e4m3fn'");
  CHECK_ERROR(lutra::parse_dtype("itn8"), unsupported, "did you mean 'int8'");
  CHECK(suggests_nothing("int9"));  // as near to int1 as to int8
  CHECK(suggests_nothing("uint9"));
  CHECK_ERROR(lutra::parse_dtype("complex64"), unsupported, "unknown dtype", "int1..int8");
}
