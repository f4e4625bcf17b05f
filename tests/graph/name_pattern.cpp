#include <doctest/doctest.h>
#include <lutra/core/random.hpp>
#include <lutra/graph/name_pattern.hpp>
#include <regex>
#include <string>

namespace {
bool matches(const std::string& pattern, const std::string& name) {
  return lutra::name_pattern(pattern).matches(name);
}
lutra::error pattern_error(const std::string& pattern) {
  try {
    const lutra::name_pattern p(pattern);
  } catch (const lutra::error& e) {
    return e;
  }
  FAIL("no error for " << pattern);
  return lutra::error(lutra::errc::io_error, "", "", "", "");
}
}  // namespace

TEST_CASE("name_pattern: whole-string matches") {
  CHECK(matches("conv1", "conv1"));
  CHECK_FALSE(matches("conv1", "conv12"));
  CHECK_FALSE(matches("conv1", "aconv1"));
  CHECK(matches("", ""));
  CHECK_FALSE(matches("", "a"));
  CHECK(matches(".*", ""));
  CHECK(matches(".*", "block1.linear1"));
  CHECK(matches("block1.linear1", "block1.linear1"));
  CHECK(matches("block1.linear1", "block1xlinear1"));  // '.' is any byte
  CHECK_FALSE(matches("block1\\.linear1", "block1xlinear1"));
  CHECK(matches("layer[0-9]+", "layer12"));
  CHECK_FALSE(matches("layer[0-9]+", "layer"));
  CHECK(matches("layer[^0-9]", "layerx"));
  CHECK_FALSE(matches("layer[^0-9]", "layer1"));
  CHECK(matches("(conv|linear)(_\\d+)?", "linear_12"));
  CHECK(matches("(?:conv|linear)(_\\d+)?", "conv"));
  CHECK_FALSE(matches("(conv|linear)(_\\d+)?", "conv_"));
  CHECK(matches("^conv.*$", "conv2d"));
  CHECK(matches("a*?b+?c??", "aab"));
  CHECK(matches("[]a]+", "]a]"));
  CHECK(matches("[a-]+", "a-a"));
  CHECK(matches("[\\w.]+", "a_1.b"));
  CHECK(matches("\\W\\S\\D", ".a."));
  CHECK(matches("a||b", ""));
  CHECK(matches("(a*)*", "aaaa"));  // empty loops end
  CHECK(matches("(a|b*)+c", "abbac"));
}

TEST_CASE("name_pattern: agrees with std::regex on random patterns") {
  lutra::random_stream random(7);
  const std::string alphabet = "ab.1";
  const auto word = [&](std::uint64_t length) {
    std::string w;
    for (std::uint64_t i = 0; i < length; ++i) w += alphabet[random.below(alphabet.size())];
    return w;
  };
  const auto piece = [&](auto&& self, int depth) -> std::string {
    switch (random.below(depth > 0 ? 7 : 3)) {
      case 0:
        return std::string(1, "ab1"[random.below(3)]);
      case 1:
        return ".";
      case 2:
        return random.below(2) ? "[ab]" : "[^a1]";
      case 3:
        return "(" + self(self, depth - 1) + "|" + self(self, depth - 1) + ")";
      case 4:
        return "(" + self(self, depth - 1) + self(self, depth - 1) + ")";
      default:
        return "(" + self(self, depth - 1) + ")" + "*+?"[random.below(3)];
    }
  };
  int positive = 0;
  for (int i = 0; i < 1500; ++i) {
    const std::string pattern = piece(piece, 3);
    const lutra::name_pattern ours(pattern);
    const std::regex theirs(pattern);
    for (int k = 0; k < 6; ++k) {
      const std::string name = word(random.below(6));
      const bool expected = std::regex_match(name, theirs);
      CHECK_MESSAGE(ours.matches(name) == expected, pattern << " on " << name);
      positive += expected ? 1 : 0;
    }
  }
  CHECK(positive > 500);
}

TEST_CASE("name_pattern: malformed patterns are errors that say where") {
  for (const char* bad : {"(", "a)", "*a", "a**", "[", "[b-a]", "a\\", "\\q", "(?=a)", "a{2}",
                          "(|+)", "a^b", "a$b", "[a", "[\\", "}"}) {
    const lutra::error e = pattern_error(bad);
    CHECK(e.code() == lutra::errc::invalid_argument);
    CHECK(e.problem().find("malformed name pattern") == 0);
    CHECK(e.value().find("position") != std::string::npos);
  }
  CHECK(pattern_error("ab(cd").value() == "'ab(cd' at position 5");
}

TEST_CASE("name_pattern: deep nesting is an error, not a stack overflow") {
  const std::string deep(100000, '(');
  CHECK(pattern_error(deep).problem().find("nested too deeply") != std::string::npos);
  const std::string fine = std::string(150, '(') + "a" + std::string(150, ')');
  CHECK(matches(fine, "a"));
}

TEST_CASE("name_pattern: long names take linear time") {
  const std::string name(200000, 'a');
  CHECK(matches("a*", name));
  CHECK_FALSE(matches("(a|a)*b", name));
  CHECK_FALSE(matches("(a*)*c", name));  // exponential for a backtracking matcher
  CHECK(matches("(x+x+)+|a+", name));
  CHECK(matches(name, name));
  CHECK(matches("(" + name + ")", name));
}
