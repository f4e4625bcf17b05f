#include <doctest/doctest.h>
#include <algorithm>
#include <lutra/core/text_layout.hpp>

#include "text_lines.hpp"

using namespace lutra;

TEST_CASE("text_layout: columns are aligned") {
  CHECK(aligned_table({{"name", "n"}, {"a", "12"}, {"longer", "3"}}) ==
        "name     n\n"
        "a       12\n"
        "longer   3\n");
  CHECK(aligned_table({}).empty());
}

TEST_CASE("text_layout: names are shortened where the table would be too wide, ends stay") {
  CHECK(shortened("short", 5) == "short");
  CHECK(shortened("block.attention.out.weight", 16) == "block.a...weight");
  for (std::size_t columns = 4; columns < 30; ++columns) {
    const std::string made = shortened("block.attention.out.weight", columns);
    CHECK(made.size() == std::min<std::size_t>(columns, 26));
  }
  const std::string text =
      fitted_table({{"name", "n"}, {std::string(300, 'x') + ".weight", std::string(30, '7')}}, 60);
  CHECK(text.find("..") != std::string::npos);
  CHECK(text.find(".weight") != std::string::npos);
  for (const std::string& line : lines_of(text)) CHECK(line.size() <= 60);
}

TEST_CASE("text_layout: sentences are wrapped, words longer than a line are cut, nothing is lost") {
  CHECK(wrapped("[1] ", "a short one", 4, 40) == "[1] a short one\n");
  CHECK(wrapped("[1] ", "one two three", 4, 11) == "[1] one two\n    three\n");
  CHECK(wrapped("- ", "abcdefghij", 2, 6) == "- abcd\n  efgh\n  ij\n");
  CHECK(wrapped("note: ", "", 6) == "note:\n");
  CHECK(wrapped("a long name  ", "sentence", 4, 16) == "a long name\n    sentence\n");
  const std::string all =
      wrapped("", "some words and " + std::string(500, 'y') + " more of them", 3, 20);
  std::size_t letters = 0;
  for (const std::string& line : lines_of(all)) {
    CHECK(line.size() <= 20);
    letters += static_cast<std::size_t>(std::count(line.begin(), line.end(), 'y'));
  }
  CHECK(letters == 500);
}
