#include <doctest/doctest.h>
#include <lutra/graph/module_tree.hpp>
#include <set>

using lutra::index_t;
using lutra::module_tree;

TEST_CASE("module_tree: adding a path adds its ancestors, parents first") {
  module_tree t;
  CHECK(t.size() == 1);
  const index_t c = t.add("a.b.c");
  CHECK(t.size() == 4);
  CHECK(t.path(c) == "a.b.c");
  CHECK(t.path(t.parent(c)) == "a.b");
  CHECK(t.find("a") < t.find("a.b"));
  CHECK(t.parent(t.find("a")) == t.find(""));
  CHECK(t.parent(t.find("")) == -1);
  CHECK(t.add("a.b.c") == c);
  CHECK(t.size() == 4);
  CHECK(t.find("a.x") == -1);
  t.add(".x");  // odd, but legal: an empty name below the root
  CHECK(t.find(".x") > 0);
  CHECK(module_tree::parent_path("a.b.c") == "a.b");
  CHECK(module_tree::parent_path("a") == "");
  CHECK(module_tree::local_name("a.b.c") == "c");
  CHECK(module_tree::local_name("a") == "a");
}

TEST_CASE("module_tree: aliases lead to one module") {
  module_tree t;
  const index_t a = t.add("a");
  t.add("b.inner");
  t.add_alias(a, "b");
  t.add_alias(a, "a");  // no effect
  CHECK(t.canonical(t.find("b")) == a);
  CHECK(t.aliases(a).size() == 1);
  std::set<std::string> below;
  t.for_each_below(a, [&](index_t m) {
    below.insert(t.path(m));
    return true;
  });
  CHECK(below == std::set<std::string>{"a", "b.inner"});
}

TEST_CASE("module_tree: for_each_below does not enter what f refuses") {
  module_tree t;
  t.add("a.b.c");
  t.add("d");
  std::set<std::string> seen;
  t.for_each_below(t.find(""), [&](index_t m) {
    seen.insert(t.path(m));
    return t.path(m) != "a";
  });
  CHECK(seen == std::set<std::string>{"", "a", "d"});
}

TEST_CASE("module_tree: hopelessly deep paths are an error") {
  module_tree t;
  std::string deep = "a";
  for (int i = 0; i < 2000; ++i) deep += ".a";
  try {
    t.add(deep);
    FAIL("no error");
  } catch (const lutra::error& e) {
    CHECK(e.code() == lutra::errc::invalid_graph);
    CHECK(e.allowed().find("1000") != std::string::npos);
  }
  t.add(std::string(200000, 'x'));  // long is fine
}
