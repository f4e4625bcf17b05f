#include <doctest/doctest.h>
#include <lutra/flow/journal.hpp>

#include "graph/toy_graph.hpp"

using namespace lutra;

namespace {
toy::graph net() {
  toy::graph g;
  const int x = g.input();
  const int w = g.state("l.weight", tensor<float>({2, 2}, {1, 2, 3, 4}));
  const int a = g.op("linear", {x, w}, "l");
  g.outputs = {g.op("relu", {a}), a};
  return g;
}
// One edit of every kind.
void edit_all(journal<toy::graph>& edits, const toy::graph& g) {
  const int linear = g.order[0];
  const int x = g.nodes.at(linear).operands[0];
  const int w = g.nodes.at(linear).operands[1];
  const std::vector<float> data{9, 8, 7, 6};
  edits.set_constant(w, tensor_view<const float>(data.data(), shape{2, 2}));
  const int f = edits.insert_fake_quant(x, {0});
  edits.set_operand(linear, 0, f);
  const int q = edits.emit_quantize_dequantize(f, qparams{});
  edits.set_operand(linear, 0, q);
  edits.set_operand(linear, 1, edits.emit_palette(w, packed_palette{}));
  edits.set_output(1, q);
}
}  // namespace

// The same graph with an adapter that undoes a failed pass itself.
struct transactional : toy::graph {
  std::vector<std::string> calls;
};
template <> struct lutra::graph_traits<transactional> : graph_traits<toy::graph> {
  static void begin(transactional& g) { g.calls.push_back("begin"); }
  static void commit(transactional& g) { g.calls.push_back("commit"); }
  static void rollback(transactional& g) { g.calls.push_back("rollback"); }
};

TEST_CASE("journal: commit keeps the edits") {
  toy::graph g = net();
  CHECK(edit_graph(g, [&](auto& edits) { edit_all(edits, g); }) == 0);
  CHECK(g.count("fake_quant") == 1);
  CHECK(g.count("quantize") == 1);
  CHECK(g.values.at(1).data[0] == 9.0F);
}

TEST_CASE("journal: an error after any number of edits leaves the graph as it was") {
  toy::graph probe = net();
  edit_graph(probe, [&](auto& edits) { edit_all(edits, probe); });
  REQUIRE(probe.edits == 8);
  for (int k = 0; k < probe.edits; ++k) {
    toy::graph g = net();
    const toy::graph before = g;
    g.fail_in = k;
    CHECK_THROWS_AS(edit_graph(g, [&](auto& edits) { edit_all(edits, g); }), toy::failure);
    CHECK_MESSAGE(g.same_as(before), "edit " << k);
  }
  toy::graph g = net();
  const toy::graph before = g;
  CHECK_THROWS_AS(edit_graph(g,
                             [&](auto& edits) {
                               edit_all(edits, g);
                               raise(errc::cancelled, "stop");
                             }),
                  error);
  CHECK(g.same_as(before));
}

TEST_CASE("journal: an adapter that cannot undo either: the error lists what stands") {
  toy::graph g = net();
  g.fail_in = 6;
  g.keeps_failing = true;
  try {
    edit_graph(g, [&](auto& edits) { edit_all(edits, g); });
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.code() == errc::invalid_graph);
    CHECK(e.problem() == "edits could not be undone");
    CHECK(e.value().find("operand 0 of a node: the adapter failed") != std::string::npos);
    CHECK(e.value().find("an inserted value") != std::string::npos);
    CHECK(e.value().find("a constant") != std::string::npos);
  }
}

TEST_CASE("journal: erasures wait for the commit; the first failing one undoes everything") {
  const auto pass = [](toy::graph& g, int erasures) {
    return edit_graph(g, [&](auto& edits) {
      const int linear = g.order[0];
      const int x = g.nodes.at(linear).operands[0];
      std::vector<int> made;
      for (int i = 0; i < erasures; ++i) made.push_back(edits.insert_fake_quant(x, {i}));
      edits.set_operand(linear, 0, edits.insert_fake_quant(x, {7}));
      for (const int v : made) edits.erase(v);
      CHECK(g.count("fake_quant") == erasures + 1);
    });
  };
  {
    toy::graph g = net();
    CHECK(pass(g, 3) == 0);
    CHECK(g.count("fake_quant") == 1);
  }
  {
    toy::graph g = net();
    const toy::graph before = g;
    g.fail_in = 5;  // three insertions, one more, one redirection, then the first erasure
    CHECK_THROWS_AS(pass(g, 3), toy::failure);
    CHECK(g.same_as(before));
  }
  toy::graph g = net();
  g.fail_in = 6;  // the second one: too late to go back
  CHECK(pass(g, 3) == 1);
  CHECK(g.count("fake_quant") == 2);
}

TEST_CASE("journal: an adapter with transactions is asked to roll back itself") {
  transactional g;
  static_cast<toy::graph&>(g) = net();
  edit_graph(g, [](auto&) {});
  CHECK(g.calls == std::vector<std::string>{"begin", "commit"});
  g.calls.clear();
  const int edits = g.edits;
  CHECK_THROWS_AS(edit_graph(g,
                             [&](auto& e) {
                               e.insert_fake_quant(g.order[0], {0});
                               throw toy::failure();
                             }),
                  toy::failure);
  CHECK(g.calls == std::vector<std::string>{"begin", "rollback"});
  CHECK(g.edits == edits + 1);  // nothing was undone edit by edit
}
