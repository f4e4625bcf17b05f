#include <doctest/doctest.h>
#include <lutra/graph/json/text.hpp>

using namespace lutra;

namespace {
error error_of(const std::string& text) {
  try {
    parse_json(text, "here");
  } catch (const error& e) {
    return e;
  }
  FAIL("no error for " << text);
  return {errc::io_error, "", "", "", ""};
}
}  // namespace

TEST_CASE("text: objects keep the order of their keys") {
  const json_value j = parse_json(R"({"b": 1, "a": [true, null, 2.5, "x"]})", "here");
  REQUIRE(j.size() == 2);
  CHECK(j.begin().key() == "b");
  CHECK(j["a"][2] == 2.5);
}

TEST_CASE("text: what is not JSON is named with its position") {
  for (const char* text :
       {"", "{", "{\"a\": }", "[1, 2", "{'a': 1}", "nul", "1e400", "{} {}", "\"\xff\""}) {
    const error e = error_of(text);
    CHECK(e.code() == errc::invalid_argument);
    CHECK(e.problem() == "the text is not JSON");
    CHECK(e.where() == "here");
    CHECK(e.value().find(" at byte ") != std::string::npos);
  }
  CHECK(error_of("[1, x]").value().ends_with("at byte 5"));
  CHECK(error_of(R"({"a": {)").value() == "the end of the text at byte 8");
  CHECK(error_of("").value() == "the end of the text at byte 1");
  CHECK(error_of("[1, 2}").value() == "'2}' at byte 6");
}

TEST_CASE("text: a key that occurs twice in one object, not in two") {
  CHECK(parse_json(R"([{"a": 1}, {"a": 2}, {"b": {"a": {}}}])", "here").size() == 3);
  const error e = error_of(R"({"a": 1, "b": {"c": 1, "c": 2}})");
  CHECK(e.problem() == "a key occurs twice");
  CHECK(e.value() == "'c'");
  CHECK(e.where() == "b");
  CHECK(error_of(R"({"a": 1, "a": 2})").where() == "here");
  CHECK(error_of(R"([1, {"x": []}, [{"a b": [true, {"*": {"1": {"": 0, "": 1}}}]}]])").where() ==
        "[2][0]['a b'][1]['*'].1");
  CHECK(error_of(R"({"": {"a": 1, "a": 2}})").where() == "['']");
  CHECK(error_of(R"({"a": {"": {"b": 1, "b": 2}}})").where() == "a['']");
  CHECK(error_of(R"({"": {"a": {"b": 1, "b": 2}}})").where() == "[''].a");
  std::string nested, path;  // as deep as keys go: all of the path
  for (int i = 0; i < 40; ++i) {
    nested += R"({"k)" + text_of(i) + R"(": )";
    path += (i > 0 ? ".k" : "k") + text_of(i);
  }
  CHECK(error_of(nested + R"({"z": 1, "z": 2})" + std::string(40, '}')).where() == path);
  CHECK(error_of(R"({"a": {"b": {}, "c": [{}, {}, {"d": 1, "d": 2}]}})").where() == "a.c[2]");
}

TEST_CASE("text: nesting has an end") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(parse_json(nested(json_checker::deepest), "here").is_array());
  CHECK(error_of(nested(json_checker::deepest + 1)).problem() ==
        "the JSON text is nested too deeply");
  CHECK(error_of(std::string(200000, '[')).code() == errc::invalid_argument);
}
