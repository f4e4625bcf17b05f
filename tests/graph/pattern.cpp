#include <doctest/doctest.h>
#include <lutra/graph/pattern.hpp>
#include <set>

#include "toy_graph.hpp"

using namespace lutra;

namespace {
// "key:length" of every match.
std::set<std::string> matches_of(const toy::graph& g,
                                 const pattern_registry& r = reference_patterns()) {
  std::set<std::string> found;
  const graph_index index = index_of(g).index;
  const pattern_matches matches = find_matches(index, r);
  for (std::size_t i = 0; i < matches.size(); ++i) {
    const pattern_match m = matches[i];
    found.insert(r.patterns()[to_size(m.pattern)].key + ":" + std::to_string(m.chain.size()));
  }
  return found;
}
struct conv_net : toy::graph {
  int x = input();
  int conv, bn, act;
  explicit conv_net(const std::string& op = "conv2d", const std::string& activation = "relu6") {
    conv = this->op(op, {x, state("c.weight")});
    bn = this->op("batch_norm", {conv, state("bn.weight"), state("bn.bias")});
    act = this->op(activation, {bn});
    outputs = {act};
  }
};
error error_of(pattern p) {
  pattern_registry r;
  try {
    r.add(std::move(p));
  } catch (const error& e) {
    return e;
  }
  FAIL("no error");
  return error(errc::io_error, "", "", "", "");
}
}  // namespace

TEST_CASE("pattern: the registry has the reference's 24 entries") {
  const pattern_registry r = reference_patterns();
  CHECK(r.patterns().size() == 24);
  std::set<std::string> keys;
  for (const pattern& p : r.patterns()) keys.insert(p.key);
  CHECK(keys.size() == 24);
  for (const char* key : {"conv_bn_act", "conv_transpose_bn", "linear_act", "embedding",
                          "matmul_act", "sub", "flatten", "maxpool", "avgpool", "concat"}) {
    CHECK(keys.count(key) == 1);
  }
}

TEST_CASE("pattern: every chain of a weighted op is found, longest included") {
  CHECK(matches_of(conv_net()) == std::set<std::string>{"conv:1", "conv_bn:2", "conv_bn_act:3"});
  CHECK(matches_of(conv_net("linear", "tanh")) ==
        std::set<std::string>{"linear:1", "linear_bn:2", "linear_bn_act:3"});
  CHECK(
      matches_of(conv_net("conv_transpose1d", "silu")) ==
      std::set<std::string>{"conv_transpose:1", "conv_transpose_bn:2", "conv_transpose_bn_act:3"});
  CHECK(matches_of(conv_net("conv2d", "softmax")) == std::set<std::string>{"conv:1", "conv_bn:2"});
}

TEST_CASE("pattern: a second consumer, an output or another operand breaks the chain") {
  {
    conv_net g;
    g.op("relu", {g.conv});
    CHECK(matches_of(g) == std::set<std::string>{"conv:1"});
  }
  {
    conv_net g;
    g.outputs.push_back(g.bn);
    CHECK(matches_of(g) == std::set<std::string>{"conv:1", "conv_bn:2"});
  }
  {
    conv_net g;  // the last result may have any number of consumers
    g.op("relu", {g.act});
    g.op("relu", {g.act});
    CHECK(matches_of(g).count("conv_bn_act:3") == 1);
  }
  {
    conv_net g;  // bn reads the conv as its scale, not as its data
    std::swap(g.maker(g.bn).operands[0], g.maker(g.bn).operands[1]);
    CHECK(matches_of(g) == std::set<std::string>{"conv:1"});
  }
  {
    conv_net g;  // a second result of the conv is used
    const int second = g.add({});
    g.maker(g.conv).results.push_back(second);
    g.outputs.push_back(second);
    CHECK(matches_of(g) == std::set<std::string>{"conv:1"});
  }
}

TEST_CASE("pattern: unfused and unregistered ops") {
  toy::graph g;
  const int x = g.input();
  const int s = g.op("sub", {x, x});
  const int r = g.op("relu", {s});
  const int d = g.op("div", {r, x});
  const int a = g.op("add_", {d, x});
  g.outputs = {g.op("relu_", {a})};
  CHECK(matches_of(g) == std::set<std::string>{"sub:1", "add:1", "add_act:2"});
}

TEST_CASE("pattern: data and weight being one tensor is no weighted op") {
  toy::graph g;
  const int x = g.input();
  g.outputs = {g.op("linear", {x, x})};
  CHECK(matches_of(g).empty());
}

TEST_CASE("pattern: user patterns add to the registry or replace an entry") {
  pattern_registry r = reference_patterns();
  CHECK_FALSE(r.add({"relu", pattern_kind::nary, {{"relu"}}}));
  CHECK(r.add({"relu", pattern_kind::nary, {{"relu"}, {"gelu"}}}));
  CHECK(r.patterns().size() == 25);
  toy::graph g;
  const int x = g.input();
  g.outputs = {g.op("gelu", {g.op("relu", {x})})};
  CHECK(matches_of(g, r) == std::set<std::string>{"relu:1"});
  CHECK(find_matches(index_of(g).index, r).size() == 2);
  CHECK_FALSE(r.add(shape_patterns()));
}

TEST_CASE("pattern: bad patterns are refused") {
  CHECK(error_of({"empty", pattern_kind::nary, {}}).code() == errc::invalid_argument);
  CHECK(error_of({"empty", pattern_kind::nary, {{}}}).code() == errc::invalid_argument);
  CHECK(error_of({"mixed", pattern_kind::weighted, {{"a"}, {"a", "b"}}}).value() == "2");
  CHECK(error_of({"long", pattern_kind::range_preserving, {{"a", "b"}}}).allowed() == "1");
  CHECK(error_of({"long", pattern_kind::nary, {{"a", "b", "c"}}}).value() == "3");
  CHECK(error_of({"twice", pattern_kind::nary, {{"add", "add_"}}}).where() == "pattern 'twice'");
}
