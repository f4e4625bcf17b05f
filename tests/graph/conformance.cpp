#include <doctest/doctest.h>
#include <algorithm>
#include <lutra/graph/conformance.hpp>

#include "errors.hpp"
#include "toy_graph.hpp"

using namespace lutra;

// An adapter that lies in one chosen way.
struct liar : toy::storing {
  std::string lie;
  bool training = false;
};
template <> struct lutra::graph_traits<liar> : graph_traits<toy::storing> {
  using base = graph_traits<toy::storing>;
  static value_role role_of(const liar& g, int v) {
    const value_role r = base::role_of(g, v);
    return g.lie == "role" && r == value_role::graph_input ? value_role::result : r;
  }
  static std::vector<int> nodes(const liar& g) {
    std::vector<int> order = g.order;
    if (g.lie == "order") std::swap(order.front(), order.back());
    if (g.lie == "twice") order.push_back(order.front());
    return order;
  }
  static std::vector<int> results(const liar& g, int n) {
    std::vector<int> r = base::results(g, n);
    if (g.lie == "results" && n != g.order.front()) r = base::results(g, g.order.front());
    return r;
  }
  static std::string op_type(const liar& g, int n) {
    return g.lie == "op" || (g.lie == "inserted op" && base::op_type(g, n) == "fake_quant")
               ? ""
               : base::op_type(g, n);
  }
  static std::string name(const liar& g, int n) { return g.lie == "name" ? "" : base::name(g, n); }
  static std::optional<shape> shape_of(const liar& g, int v) {
    if (g.lie == "shape") return shape{7, 7};
    if (g.lie == "packed shape" && base::role_of(g, v) == value_role::packed_state) {
      return shape{7, 7};
    }
    return base::role_of(g, v) == value_role::state ? std::optional(base::constant(g, v).extents())
                                                    : std::nullopt;
  }
  static void set_operand(liar& g, int n, std::size_t slot, int v) {
    if (g.lie != "operand") base::set_operand(g, n, slot, v);
  }
  static void set_output(liar& g, std::size_t slot, int v) {
    if (g.lie != "output") base::set_output(g, slot, v);
  }
  static void erase(liar& g, int v) {
    if (g.lie == "pair kept" && g.producer(v) >= 0 && g.maker(v).op == "dequantize") {
      g.maker(v).op = "half a pair";
    }
    if (g.lie != "erase") base::erase(g, v);
  }
  static int insert_fake_quant(liar& g, int v, fake_quant_id id) {
    const int made = base::insert_fake_quant(g, v, id);
    if (g.lie == "insertion rewires") rewire(g, v, made);
    return made;
  }
  static int emit_quantize_dequantize(liar& g, int v, const qparams& q) {
    const int made = base::emit_quantize_dequantize(g, v, q);
    if (g.lie == "pair rewires") rewire(g, v, made);
    if (g.lie == "pair type") g.values.at(made).is_float = false;
    if (g.lie == "pair reads") g.maker(g.maker(made).operands[0]).operands[0] = g.outputs[0];
    return made;
  }
  static int emit_palette(liar& g, int v, const packed_palette& p) {
    return packed(g, v, base::emit_palette(g, v, p), "palette");
  }
  static int emit_affine_constant(liar& g, int v, const affine_constant& c) {
    return packed(g, v, base::emit_affine_constant(g, v, c), "codes");
  }
  static int packed(liar& g, int v, int made, const std::string& what) {
    if (g.lie == what + " itself") return v;
    if (g.lie == what + " role") g.values.at(made).role = value_role::state;
    if (g.lie == what + " type") g.values.at(made).is_float = false;
    if (g.lie == what + " rewires") rewire(g, v, made);
    if (g.lie == what + " rounds") g.values.at(v).data[0] += 1;
    if (g.lie == what + " op") {
      const int result = g.op("palette", {});
      g.values.at(result) = g.values.at(made);
      return result;
    }
    return made;
  }
  static std::vector<std::string> state_names(const liar& g, int v) {
    if (g.lie == "names") return {"weight"};
    return base::state_names(g, v);
  }
  static void erase_nodes(liar& g, std::span<const int> nodes) {
    base::erase_nodes(g, nodes.first(g.lie == "erase nodes" ? 1 : nodes.size()));
  }
  static std::optional<batch_norm_operands<int>> batch_norm_of(const liar& g, int n) {
    auto norm = base::batch_norm_of(g, n);
    if (norm && g.lie == "norm mean") norm->mean = 0;
    if (norm && g.lie == "norm weight") norm->weight = g.outputs[0];
    if (norm && g.lie == "norm eps") norm->eps = -1;
    return norm;
  }
  static bool set_training(liar& g, bool on) {
    return std::exchange(g.training, on) && g.lie != "training";
  }
  static void rewire(liar& g, int v, int made) {
    for (auto& [id, n] : g.nodes) {
      if (n.op == "linear") std::replace(n.operands.begin(), n.operands.end(), v, made);
    }
  }
  static int add_state(liar& g, std::string_view name, tensor_view<const float> data) {
    const int v = base::add_state(g, g.lie == "added name" ? "other" : name, data);
    if (g.lie == "state") g.values.at(v).data[0] += 1;
    return v;
  }
  static void set_bias(liar& g, int n, std::optional<int> bias) {
    if (g.lie == "bias" || (g.lie == "bias back" && !bias)) return;
    base::set_bias(g, n, bias);
  }
  static int emit_arithmetic(liar& g, const arithmetic& a, std::span<const int> operands) {
    std::vector<int> reads(operands.begin(), operands.end());
    if (g.lie == "arithmetic reads" && a.kind == arithmetic::kind_t::sqrt) reads = {g.outputs[1]};
    if (g.lie == "arithmetic second" && reads.size() > 1) reads.pop_back();
    const int made = g.op("add", reads);
    if (g.lie == "arithmetic rewires") rewire(g, operands[0], made);
    if (g.lie == "arithmetic first") std::rotate(g.order.begin(), g.order.end() - 1, g.order.end());
    if (g.lie == "arithmetic type") g.values.at(made).is_float = false;
    return made;
  }
  static void set_constant(liar& g, int v, tensor_view<const float> data) {
    if (g.lie != "constant") base::set_constant(g, v, data);
  }
};

namespace {
liar net(const std::string& lie) {
  liar g;
  const int x = g.input();
  const int w = g.state("l.weight", tensor<float>({2, 2}, {1, 2, 3, 4}));
  const int a = g.op("linear", {x, w}, "l");
  g.outputs = {g.op("relu", {a}), x};
  g.lie = lie;
  return g;
}
bool mentions(const std::vector<std::string>& problems, const std::string& part) {
  for (const std::string& p : problems) {
    if (p.find(part) != std::string::npos) return true;
  }
  return false;
}
}  // namespace

TEST_CASE("conformance: a sound adapter has no problems and its graph is left alone") {
  liar g = net("");
  const liar before = g;
  CHECK(graph_conformance(g).empty());
  CHECK(edit_conformance(g).empty());
  CHECK(g.same_as(before));
  liar empty;
  CHECK(edit_conformance(empty).empty());
}

TEST_CASE("conformance: adapters that lie when read") {
  CHECK(mentions(graph_conformance(net("role")), "role_of says result, but no node lists it"));
  CHECK(mentions(graph_conformance(net("order")), "consumer before its producer"));
  CHECK(mentions(graph_conformance(net("twice")), "twice"));
  CHECK(mentions(graph_conformance(net("results")),
                 "as a result of node 0 (linear) 'linear' and of"));
  CHECK(mentions(graph_conformance(net("op")), "empty op_type"));
  CHECK(mentions(graph_conformance(net("name")), "empty name"));
  CHECK(mentions(graph_conformance(net("shape")), "shape_of says [7, 7], constant() has [2, 2]"));
  liar two = net("");
  two.outputs.push_back(two.state("other"));
  CHECK(graph_conformance(two).empty());
  two.lie = "names";
  CHECK(mentions(graph_conformance(two),
                 "graph output 2: the state is called 'weight', as another one is (state_names)"));
  for (const auto& lie_and_text : {std::pair("norm mean", "gives a mean that is no float state"),
                                   std::pair("norm weight", "gives a weight that is no float"),
                                   std::pair("norm eps", "gives an eps of -1")}) {
    liar norm = net("");
    const int mean = norm.state("mean"), variance = norm.state("variance");
    norm.outputs[0] = norm.op("batch_norm", {norm.outputs[0], mean, variance});
    norm.batch_norms[norm.outputs[0]] = {.mean = mean, .variance = variance};
    CHECK(graph_conformance(norm).empty());
    norm.lie = lie_and_text.first;
    CHECK_MESSAGE(mentions(graph_conformance(norm), lie_and_text.second), lie_and_text.first);
  }
  liar cyclic = net("");
  cyclic.maker(cyclic.outputs[0]).operands[0] = cyclic.outputs[0];
  CHECK(mentions(graph_conformance(cyclic), "cycle"));
}

TEST_CASE("conformance: a buffer that an op overwrites in place is no value") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("linear", {x, g.state("l.weight")}, "l");
  const int r = g.op("relu_", {a});
  g.maker(r).results = {a};  // as if values were buffers
  g.outputs = {a};
  CHECK(mentions(graph_conformance(g), "an op that works in place makes a new value"));
  CHECK_ERROR(index_of(g), invalid_graph, "the result of two nodes", "'linear' and 'relu_'",
              "works in place");
}

TEST_CASE("conformance: adapters that lie when edited") {
  for (const auto& lie_and_text :
       {std::pair("operand", "set_operand has no effect"),
        std::pair("output", "set_output has no"),
        std::pair("erase", "erase: the graph differs"),
        std::pair("inserted op", "not 'fake_quant'"),
        std::pair("insertion rewires", "insert_fake_quant: it changes what slot 0 of a reader"),
        std::pair("pair rewires", "emit_quantize_dequantize: it changes what slot 0 of a reader"),
        std::pair("pair type", "emit_quantize_dequantize: the new value is not a float result"),
        std::pair("pair reads", "the new nodes do not read the value"),
        std::pair("palette itself", "emit_palette: it gives the state itself"),
        std::pair("palette role", "emit_palette: the new value is not a float packed_state"),
        std::pair("palette type", "emit_palette: the new value is not a float packed_state"),
        std::pair("palette rewires", "emit_palette: it changes what slot 1 of a reader"),
        std::pair("palette rounds", "emit_palette: it changes the elements of the state"),
        std::pair("palette op", "emit_palette: op_type of the new node is 'palette', not 'lut_to"),
        std::pair("codes itself", "emit_affine_constant: it gives the state itself"),
        std::pair("codes role", "emit_affine_constant: the new value is not a float packed"),
        std::pair("codes type", "emit_affine_constant: the new value is not a float packed"),
        std::pair("codes rewires", "emit_affine_constant: it changes what slot 1 of a reader"),
        std::pair("codes rounds", "emit_affine_constant: it changes the elements of the state"),
        std::pair("codes op", "emit_affine_constant: op_type of the new node is 'palette', not"),
        std::pair("packed shape", "shape_of the new value says [7, 7], the state has [2, 2]"),
        std::pair("erase nodes", "erase_nodes: the graph differs"),
        std::pair("added name", "state_names of the new state do not have its name"),
        std::pair("training", "set_training: it does not return what was set before"),
        std::pair("arithmetic second", "emit_arithmetic: the new node does not read the value"),
        std::pair("pair kept", "differs from what it was before emit_quantize_dequantize"),
        std::pair("state", "add_state: the new value"),
        std::pair("bias", "operand 2 of the layer is not the new state"),
        std::pair("bias back", "the old bias does not come back"),
        std::pair("arithmetic reads", "emit_arithmetic: the new node does not read the value"),
        std::pair("arithmetic rewires", "emit_arithmetic: it changes what slot"),
        std::pair("arithmetic first", "consumer before its producer"),
        std::pair("arithmetic type", "emit_arithmetic: the new value is not a float result"),
        std::pair("constant", "constant() does not return the new elements")}) {
    liar g = net(lie_and_text.first);
    CHECK_MESSAGE(mentions(edit_conformance(g), lie_and_text.second), lie_and_text.first);
  }
}

// An adapter with transactions: one that keeps them, or not.
struct transactional : toy::graph {
  std::string lie;
  std::optional<toy::graph> saved;
};
template <> struct lutra::graph_traits<transactional> : graph_traits<toy::graph> {
  static void begin(transactional& g) { g.saved = g; }
  static void commit(transactional& g) {
    if (g.lie == "commit") rollback(g);
  }
  static void rollback(transactional& g) {
    if (g.lie != "rollback") static_cast<toy::graph&>(g) = *g.saved;
  }
};

TEST_CASE("conformance: transactions are tried both ways") {
  transactional g;
  static_cast<toy::graph&>(g) = net("");
  const toy::graph before = g;
  CHECK(edit_conformance(g).empty());
  CHECK(g.same_as(before));
  g.lie = "rollback";
  CHECK(mentions(edit_conformance(g), "rollback: the graph differs"));
  static_cast<toy::graph&>(g) = before;
  g.lie = "commit";
  CHECK(mentions(edit_conformance(g), "commit: the edits are gone"));
}

TEST_CASE("conformance: a layer with a bias gets it back") {
  liar g;
  const int x = g.input();
  const int w = g.state("l.weight", tensor<float>({2, 2}, {1, 2, 3, 4}));
  const int b = g.state("l.bias", tensor<float>({2}, {5, 6}));
  g.outputs = {g.op("linear", {x, w, b}, "l")};
  const liar before = g;
  CHECK(edit_conformance(g).empty());
  CHECK(g.same_as(before));
}
