#include <doctest/doctest.h>
#include <lutra/graph/decision.hpp>
#include <set>
#include <string>

TEST_CASE("decision: every reason has its own name") {
  std::set<std::string_view> names;
  const int last = lutra::reason_count - 1;
  for (int i = 0; i <= last; ++i) {
    const auto name = lutra::name_of(static_cast<lutra::reason>(i));
    CHECK(name != "unknown");
    names.insert(name);
  }
  CHECK(names.size() == static_cast<std::size_t>(last) + 1);
  CHECK(lutra::name_of(static_cast<lutra::reason>(last + 1)) == "unknown");
}
