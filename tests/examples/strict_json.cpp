#include <common/strict_json.hpp>

#include "errors.hpp"

using namespace lutra_examples;

TEST_CASE("strict_json: parses what is JSON and nothing else") {
  CHECK(parse_strict_json("{\"a\":[1,{\"a\":2}],\"b\":{}}", "w").at("a").at(1).at("a") == 2);
  CHECK_ERROR(parse_strict_json("{\"a\":1,}", "place"), corrupt_data, "not JSON", "place");
  CHECK_ERROR(parse_strict_json("", "place"), corrupt_data, "not JSON");
  CHECK_ERROR(parse_strict_json("{\"a\":1,\"a\":2}", "place"), corrupt_data, "duplicate key",
              "'a'");
  CHECK_ERROR(parse_strict_json("[{\"x\":{\"b\":1,\"c\":2,\"b\":3}}]", "place"), corrupt_data,
              "'b'");
  CHECK_ERROR(parse_strict_json(std::string(300'000, '['), "place"), corrupt_data, "not JSON");
}

TEST_CASE("strict_json: accessors name the place and the value") {
  const json v =
      json::parse(R"({"n":-3,"t":"x","l":[1],"f":1.5,"b":true,"big":18446744073709551615})");
  CHECK(integer(member(v, "n", "w"), -3, 3, "w") == -3);
  CHECK(text(member(v, "t", "w"), "w") == "x");
  CHECK(list(member(v, "l", "w"), "w").size() == 1);
  CHECK(number(member(v, "f", "w"), "w") == 1.5);
  CHECK(flag(member(v, "b", "w"), "w"));
  CHECK_ERROR(member(v, "zz", "place"), corrupt_data, "missing member", "place", "zz");
  CHECK_ERROR(member(v.at("l"), "n", "place"), corrupt_data, "missing member");
  CHECK_ERROR(integer(v.at("n"), 0, 3, "place"), corrupt_data, "got -3", "0..3");
  CHECK_ERROR(integer(v.at("f"), 0, 3, "place"), corrupt_data, "got 1.5");
  CHECK_ERROR(integer(v.at("big"), 0, lutra::max_size, "place"), corrupt_data,
              "18446744073709551615");
  CHECK_ERROR(text(v.at("n"), "place"), corrupt_data, "text is needed");
  CHECK_ERROR(list(v.at("n"), "place"), corrupt_data, "list is needed");
  CHECK_ERROR(flag(v.at("n"), "place"), corrupt_data, "true or false");
  CHECK_ERROR(number(v.at("t"), "place"), corrupt_data, "number is needed");
}
