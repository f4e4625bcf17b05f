#include <lutra/graph/group_modules.hpp>

#include "errors.hpp"
#include "plan_helpers.hpp"

using namespace lutra;

namespace {
// input -> relu (root) -> a.in: linear -> relu (root) -> b: linear; every module has a weight.
toy::graph nested() {
  toy::graph g;
  const int x = g.op("relu", {g.input()});
  const int a = g.op("linear", {x, g.state("a.in.weight")}, "a.in");
  const int r = g.op("sigmoid", {g.op("softmax", {a})});
  g.outputs = {g.op("linear", {r, g.state("b.weight")}, "b")};
  return g;
}
std::string module_of(const looked_at& p, const std::string& group) {
  const std::vector<index_t> modules = modules_of_groups(p.plan);
  for (std::size_t i = 0; i < modules.size(); ++i) {
    if (p.plan.group_name(index_t(i)) == group) return p.plan.index.modules.path(modules[i]);
  }
  FAIL("no group " << group);
  return {};
}
}  // namespace

TEST_CASE("group_modules: the first reader with a module, else the producer, else the root") {
  const looked_at p(nested());
  REQUIRE(p.plan.groups.size() == 6);
  CHECK(module_of(p, "relu") == "a.in");
  CHECK(module_of(p, "a.in.weight") == "a.in");
  CHECK(module_of(p, "linear") == "a.in");  // read by softmax, which has no module
  CHECK(module_of(p, "sigmoid") == "b");
  CHECK(module_of(p, "linear_1") == "b");  // the graph's output
  toy::graph plain;
  plain.outputs = {plain.op("linear", {plain.input(), plain.state("weight")})};
  for (const index_t m : modules_of_groups(looked_at(plain).plan)) CHECK(m == 0);
}

TEST_CASE("group_modules: a module with everything below it") {
  toy::graph g = nested();
  g.aliases["b"] = {"c.again"};
  const looked_at p(g);
  const auto chosen = [&](std::string_view path) {
    std::vector<std::string> names;
    const std::vector<char> below = groups_below(p.plan, path, "here");
    for (std::size_t i = 0; i < below.size(); ++i) {
      if (below[i] != 0) names.push_back(p.plan.group_name(index_t(i)));
    }
    return names;
  };
  CHECK(chosen("").size() == 6);
  CHECK(chosen("a") == std::vector<std::string>{"relu", "a.in.weight", "linear"});
  CHECK(chosen("a.in") == chosen("a"));
  CHECK(chosen("b") == std::vector<std::string>{"sigmoid", "b.weight", "linear_1"});
  CHECK(chosen("c.again") == chosen("b"));
  CHECK(chosen("c") == chosen("b"));
  CHECK_ERROR(groups_below(p.plan, "a.out", "here"), invalid_argument, "no such module", "'a.out'",
              "'a.in'");
}
