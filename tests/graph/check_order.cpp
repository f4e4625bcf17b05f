#include <doctest/doctest.h>
#include <lutra/graph/check_order.hpp>
#include <lutra/graph/index.hpp>

#include "toy_graph.hpp"

using namespace lutra;

namespace {
template <class G> error order_error(const G& g) {
  try {
    index_of(g);
  } catch (const error& e) {
    return e;
  }
  FAIL("no error");
  return error(errc::io_error, "", "", "", "");
}
}  // namespace

TEST_CASE("check_order: a cycle is listed, and only the cycle") {
  toy::graph g;
  const int x = g.input();
  const int before = g.op("relu", {x}, "", "before");
  const int a = g.op("add", {before, x}, "", "a");
  const int b = g.op("add", {a, x}, "", "b");
  const int c = g.op("relu", {b}, "", "c");
  const int after = g.op("relu", {c}, "", "after");
  g.outputs = {after};
  g.maker(a).operands[1] = c;
  const error e = order_error(g);
  CHECK(e.code() == errc::invalid_graph);
  CHECK(e.problem() == "the graph has a cycle");
  for (const char* name : {"a", "b", "c"}) CHECK(e.value().find(name) != std::string::npos);
  CHECK(e.value().find("before") == std::string::npos);
  CHECK(e.value().find("after") == std::string::npos);
  g.maker(a).operands[1] = a;  // itself
  CHECK(order_error(g).value() == "a -> a");
}

TEST_CASE("check_order: a long cycle gives a short message") {
  toy::graph g;
  const int x = g.input();
  int at = g.op("add", {x, x}, "", "n0");
  const int first = at;
  for (int k = 1; k < 500; ++k) at = g.op("relu", {at}, "", "n" + std::to_string(k));
  g.maker(first).operands[1] = at;
  const error e = order_error(g);
  CHECK(e.value().size() < 2000);
  CHECK(e.value().find("more)") != std::string::npos);
}
