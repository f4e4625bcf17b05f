// A framework of another structure than our IR runs through everything: checks, plan, palettes, batch norm
// folding, activation quantization, and failing edits. Its results are compared with our IR's, bit for bit.
#include "edge_graph.hpp"

#include <doctest/doctest.h>
#include <bit>
#include <lutra/core/random.hpp>
#include <lutra/flow/fold_batch_norm.hpp>
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/graph/conformance.hpp>
#include <lutra/ir/traits.hpp>

namespace {

using loom_traits = lutra::graph_traits<loom::graph>;

// One net, written down for loom and for lutra's IR with the same numbers:
//   stem: conv (no bias), bn, relu -> split -> body: conv, bn; and relu -> add, relu, pool, flatten -> head: linear
// In loom batch norms, activations and the sum work in place.
struct twins {
  loom::graph edges;
  lutra::ir::graph ir;
  twins() {
    write_edges();
    write_ir();
  }

 private:
  static lutra::tensor<float> data(const std::string& name, const lutra::shape& extents) {
    std::uint64_t seed = 7;
    for (const char c : name) seed = 31 * seed + static_cast<unsigned char>(c);
    lutra::random_stream random(seed);
    lutra::tensor<float> t(extents);
    for (float& x : t.elements()) x = static_cast<float>(random.normal());
    if (name.ends_with("variance")) {
      for (float& x : t.elements()) x = x * x + 0.25F;
    }
    return t;
  }
  loom::source state(const std::string& name, const lutra::shape& extents) {
    const auto e = extents.extents();
    return {nullptr, edges.add_constant(name, loom::extents(e.begin(), e.end()),
                                        lutra::to_vector<float>(lutra::view(data(name, extents))))};
  }
  void batch_norm(loom::wire* w, const std::string& module, lutra::index_t channels) {
    loom::node& n = edges.add("BatchNorm", {w}, {w}, module);
    for (const char* role : {"gamma", "beta", "mean", "variance"}) {
      n.parameters[role] = state(module + ".bn." + role, {channels});
    }
    n.eps = 1e-3;
  }
  void write_edges() {
    loom::wire* const x = edges.add_wire({2, 2, 6, 6});
    loom::wire* const a = edges.add_wire({2, 4, 6, 6});
    edges.add("Convolution", {x}, {a}, "stem").parameters["weight"] =
        state("stem.weight", {4, 2, 3, 3});
    batch_norm(a, "stem", 4);
    edges.add("ReLU", {a}, {a}, "stem");
    loom::wire* const b = edges.add_wire(a->dims);
    loom::wire* const c = edges.add_wire(a->dims);
    edges.add("Split", {a}, {b, c});
    loom::wire* const d = edges.add_wire(a->dims);
    loom::node& body = edges.add("Convolution", {b}, {d}, "body");
    body.parameters["weight"] = state("body.weight", {4, 4, 3, 3});
    body.parameters["bias"] = state("body.bias", {4});
    batch_norm(d, "body", 4);
    edges.add("ReLU", {c}, {c});
    edges.add("Eltwise", {d, c}, {d});
    edges.add("ReLU", {d}, {d});
    loom::wire* const pooled = edges.add_wire({2, 4, 3, 3});
    edges.add("Pooling", {d}, {pooled});
    loom::wire* const flat = edges.add_wire({2, 36});
    edges.add("Flatten", {pooled}, {flat});
    loom::wire* const y = edges.add_wire({2, 5});
    loom::node& head = edges.add("InnerProduct", {flat}, {y}, "head");
    head.parameters["weight"] = state("head.weight", {5, 36});
    head.parameters["bias"] = state("head.bias", {5});
    edges.inputs = {x};
    edges.outputs = {y};
  }
  void write_ir() {
    lutra::ir::builder b;
    const auto stored = [&](const std::string& name, const lutra::shape& extents) {
      return b.state(name, data(name, extents));
    };
    const auto bn = [&](lutra::ir::value_id x, const std::string& m) {
      return b.batch_norm(x, stored(m + ".bn.gamma", {4}), stored(m + ".bn.beta", {4}),
                          stored(m + ".bn.mean", {4}), stored(m + ".bn.variance", {4}), 1e-3);
    };
    const auto x = b.input("x");
    b.module("stem");
    auto a = b.conv2d(x, stored("stem.weight", {4, 2, 3, 3}), {}, {.padding = {1, 1}});
    a = b.relu(bn(a, "stem"));
    b.module("body");
    auto d = b.conv2d(a, stored("body.weight", {4, 4, 3, 3}), stored("body.bias", {4}),
                      {.padding = {1, 1}});
    d = bn(d, "body");
    b.module("");
    d = b.max_pool2d(b.relu(b.add(d, b.relu(a))));
    b.module("head");
    b.output(b.linear(b.flatten(d), stored("head.weight", {5, 36}), stored("head.bias", {5})));
    ir = std::move(b).build();
  }
};

lutra::tensor<float> image(std::uint64_t seed) {
  lutra::random_stream random(1000 + seed);
  lutra::tensor<float> t({2, 2, 6, 6});
  for (float& x : t.elements()) x = static_cast<float>(random.normal());
  return t;
}
// The same batch for either graph, and the elements of its first output.
template <class G> auto batch_of(std::uint64_t seed) {
  if constexpr (std::is_same_v<G, loom::graph>) {
    const lutra::tensor<float> x = image(seed);
    return loom::buffer{{2, 2, 6, 6}, lutra::to_vector<float>(lutra::view(x))};
  } else {
    return image(seed);
  }
}
std::vector<float> elements(const std::vector<loom::buffer>& out) { return out.at(0).data; }
std::vector<float> elements(const std::vector<lutra::tensor<float>>& out) {
  return lutra::to_vector<float>(lutra::view(out.at(0)));
}
std::vector<float> evaluate(const loom::graph& g, std::uint64_t seed = 50) {
  return elements(g.run(std::vector<loom::buffer>{batch_of<loom::graph>(seed)}));
}
std::vector<float> evaluate(const lutra::ir::graph& g, std::uint64_t seed = 50) {
  return elements(
      lutra::graph_traits<lutra::ir::graph>::run(g, image(seed), lutra::ir::no_fake_quant{}));
}

const lutra::palettizer_config palettes{
    .global_config = {
        .op_state_spec = {{"weight", {.n_bits = 3, .lut_qspec = lutra::int8_symmetric}}}}};
const lutra::quantizer_config only_activations{.global_config = {.op_state_spec = {}}};

// Every stage of the joint flow, by the elements of an output.
template <class G> std::vector<std::vector<float>> joint_flow(G& g) {
  std::vector<std::vector<float>> stages{evaluate(g)};
  CHECK(lutra::fold_batch_norm(g).folded() == 2);
  stages.push_back(evaluate(g));
  lutra::kmeans_palettizer palettizer(g, palettes);
  palettizer.prepare();
  stages.push_back(evaluate(g));
  palettizer.finalize();
  stages.push_back(evaluate(g));
  lutra::quantizer quantizer(g, only_activations);
  quantizer.prepare();
  {
    const auto calibrating = quantizer.calibration_mode();
    for (std::uint64_t i = 0; i < 3; ++i) {
      stages.push_back(elements(quantizer.run(batch_of<G>(i))));
    }
  }
  stages.push_back(elements(quantizer.run(batch_of<G>(50))));
  quantizer.finalize();
  stages.push_back(evaluate(g));
  return stages;
}

// What lutra can see of a graph, and every constant, as text.
std::string picture(const loom::graph& g) {
  const lutra::indexed_graph<loom::graph> seen = lutra::index_of(g);
  const lutra::graph_index& i = seen.index;
  std::string text;
  for (lutra::index_t n = 0; n < i.node_count(); ++n) {
    text += i.name[lutra::to_size(n)] + " (" + i.op(n) + ")";
    for (const lutra::index_t v : i.operands[n]) text += ", " + i.label(v);
    text += "\n";
  }
  for (const lutra::index_t v : i.outputs) text += "out " + i.label(v) + "\n";
  for (const auto& [name, c] : g.table) {
    std::uint64_t hash = 0;
    for (const float x : g.stored(name)) hash = 31 * hash + std::bit_cast<std::uint32_t>(x);
    text += name + " " + lutra::text_of(hash) + (c.decode ? " decoded\n" : "\n");
  }
  return text;
}
int count_of(const loom::graph& g, const std::string& kind) {
  return static_cast<int>(std::count_if(g.nodes.begin(), g.nodes.end(),
                                        [&](const loom::node& n) { return n.kind == kind; }));
}

}  // namespace

TEST_CASE("edge_graph: definitions, not wires, are the values") {
  const twins t;
  const lutra::graph_index index = lutra::index_of(t.edges).index;
  CHECK(index.op_types == std::vector<std::string>{"conv2d", "batch_norm", "relu", "split", "add",
                                                   "max_pool2d", "flatten", "linear"});
  // One value per node, a second one of split; the input; three weights and two biases.
  CHECK(index.value_count() == 12 + 1 + 1 + 5);
  CHECK(index.label(index.operands[1][0]) == "Convolution#0");
  CHECK(index.label(index.operands[2][0]) == "BatchNorm#0");
  CHECK(index.label(index.operands[6][0]) == "Split#0:1");
  CHECK(index.uses[index.results[3][0]].size() == 1);
}

TEST_CASE("edge_graph: the framework computes what our IR computes, bit for bit") {
  const twins t;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    CHECK(evaluate(t.edges, seed) == evaluate(t.ir, seed));
  }
}

TEST_CASE("edge_graph: the adapter is sound") {
  twins t;
  const std::string before = picture(t.edges);
  const std::vector<float> expected = evaluate(t.edges);
  CHECK(lutra::graph_conformance(t.edges) == std::vector<std::string>{});
  CHECK(lutra::edit_conformance(t.edges) == std::vector<std::string>{});
  CHECK(picture(t.edges) == before);
  CHECK(evaluate(t.edges) == expected);
}

TEST_CASE("edge_graph: a plan has a reason for every operand and value") {
  const twins t;
  const std::string before = picture(t.edges);
  const lutra::quantization_plan p = lutra::plan(t.edges);
  for (const auto* decisions : {&p.operand_decision, &p.value_decision}) {
    for (const lutra::decision& d : *decisions) {
      CHECK(d.why != lutra::reason::none);
      CHECK(p.describe(d) != "undecided");
    }
  }
  CHECK(lutra::index_t(p.operand_decision.size()) == p.index.operand_count());
  CHECK(lutra::index_t(p.value_decision.size()) == p.index.value_count());
  const auto why = [&](lutra::index_t node, std::size_t result = 0) {
    return p.value_decision[lutra::to_size(p.index.results[node][result])].why;
  };
  CHECK(why(0) == lutra::reason::inside_pattern);  // conv, bn, relu on one wire: one pattern
  CHECK(why(1) == lutra::reason::inside_pattern);
  CHECK(why(2) == lutra::reason::own_config);
  CHECK(why(3, 0) == lutra::reason::unregistered_op);
  CHECK(why(6) == lutra::reason::activation_alone);
  CHECK(why(9) == lutra::reason::shared_range);
  CHECK(why(10) == lutra::reason::shared_range);
  CHECK(p.count_places(true) == 3);
  CHECK(picture(t.edges) == before);
}

TEST_CASE("edge_graph: fold, palettize, quantize: every stage equals that of our IR, bit for bit") {
  twins t;
  const auto edges = joint_flow(t.edges);
  const auto ir = joint_flow(t.ir);
  REQUIRE(edges.size() == ir.size());
  for (std::size_t i = 0; i < ir.size(); ++i) CHECK_MESSAGE(edges[i] == ir[i], "stage " << i);
  CHECK(edges[3] == edges[2]);                     // palettes in place of restored weights
  CHECK(edges.back() == edges[edges.size() - 2]);  // pairs in place of fake-quantizers
  CHECK(edges.back() != edges[3]);
  CHECK(count_of(t.edges, "BatchNorm") == 0);
  CHECK(count_of(t.edges, "FakeQuant") == 0);
  CHECK(count_of(t.edges, "Quantize") == count_of(t.edges, "Dequantize"));
}

TEST_CASE("edge_graph: weights quantized as well, batch norms left in place") {
  const auto stages = [](auto& g) {
    using graph = std::remove_reference_t<decltype(g)>;
    lutra::quantizer q(g);
    q.prepare(batch_of<graph>(9));
    q.calibrate(std::vector{batch_of<graph>(0), batch_of<graph>(1)});
    const std::vector<float> simulated = elements(q.run(batch_of<graph>(50)));
    q.finalize();
    return std::vector{simulated, evaluate(g)};
  };
  twins t;
  const auto edges = stages(t.edges);
  CHECK(edges == stages(t.ir));
  CHECK(edges[0] == edges[1]);
  CHECK(count_of(t.edges, "BatchNorm") == 2);
}

TEST_CASE("edge_graph: batch norms in the form for training, then folded, as in our IR") {
  const auto stages = [](auto& g) {
    using graph = std::remove_reference_t<decltype(g)>;
    lutra::quantizer q(g, {}, {.train_batch_norms = true});
    q.prepare(batch_of<graph>(9));
    CHECK(q.batch_norms().folded() == 2);
    std::vector<std::vector<float>> seen;
    {
      const auto training = q.training_mode();
      for (std::uint64_t i = 0; i < 2; ++i) seen.push_back(elements(q.run(batch_of<graph>(i))));
    }
    seen.push_back(elements(q.run(batch_of<graph>(50))));
    q.finalize();
    seen.push_back(evaluate(g));
    return seen;
  };
  twins t;
  t.edges.table.at("body.bn.gamma").data[2] = -0.75F;
  for (lutra::ir::value& v : t.ir.values) {
    if (v.name == "body.bn.gamma") v.data[2] = -0.75F;
  }
  const auto edges = stages(t.edges);
  t.ir.training = false;
  const auto ir = stages(t.ir);
  // In training our IR takes the statistics of the batch, which the other framework does not.
  CHECK(edges[0] != ir[0]);
  // Folding changes no output by more than what codes that tip over do.
  for (const auto& stages_of : {edges, ir}) {
    float largest = 0, change = 0;
    for (std::size_t i = 0; i < stages_of[2].size(); ++i) {
      largest = std::max(largest, std::fabs(stages_of[2][i]));
      change = std::max(change, std::fabs(stages_of[2][i] - stages_of[3][i]));
    }
    CHECK(largest > 0);
    CHECK(change <= 0.05F * largest);
  }
  CHECK(count_of(t.edges, "BatchNorm") == 0);
  CHECK(count_of(t.edges, "Root") == 0);
  CHECK(count_of(t.edges, "Quantize") == count_of(t.edges, "Dequantize"));
  CHECK(lutra::graph_conformance(t.edges) == std::vector<std::string>{});
}

TEST_CASE("edge_graph: the form for training, calibrated: every stage equals that of our IR") {
  const auto stages = [](auto& g) {
    using graph = std::remove_reference_t<decltype(g)>;
    lutra::quantizer q(g, {}, {.train_batch_norms = true});
    q.prepare();
    q.calibrate(std::vector{batch_of<graph>(0), batch_of<graph>(1)});
    std::vector<std::vector<float>> seen{elements(q.run(batch_of<graph>(50)))};
    q.finalize();
    seen.push_back(evaluate(g));
    return seen;
  };
  twins t;
  CHECK(stages(t.edges) == stages(t.ir));
}

TEST_CASE("edge_graph: an edit refused at any index leaves the graph as it was") {
  // Brings a graph to a stage, then runs the pass under test with a refusal at every edit.
  const auto try_all = [](auto&& prepare, auto&& pass, int late) {
    twins probe;
    auto state = prepare(probe.edges);
    const int start = probe.edges.edits;
    pass(*state);
    const int edits = probe.edges.edits - start;
    REQUIRE(edits > late);
    const std::string expected = picture(probe.edges);
    for (int k = 0; k < edits; ++k) {
      twins t;
      auto again = prepare(t.edges);
      const std::string before = picture(t.edges);
      t.edges.fail_in = k;
      if (k >= edits - late) {  // the graph is final by then, a dead node stays
        CHECK_NOTHROW(pass(*again));
        CHECK_NOTHROW(t.edges.run({batch_of<loom::graph>(50)}, [](int, loom::buffer&) {}));
        continue;
      }
      CHECK_THROWS_AS(pass(*again), loom::edit_failure);
      CHECK_MESSAGE(picture(t.edges) == before, "edit " << k << " of " << edits);
      pass(*again);
      CHECK(std::count(expected.begin(), expected.end(), '\n') == [&] {
        const auto p = picture(t.edges);
        return std::count(p.begin(), p.end(), '\n');
      }());
    }
  };
  const auto itself = [](loom::graph& g) { return &g; };
  try_all(
      itself, [](loom::graph& g) { lutra::fold_batch_norm(g); }, 0);
  const auto palettizer = [](loom::graph& g) {
    return std::make_unique<lutra::kmeans_palettizer<loom::graph>>(g, palettes);
  };
  try_all(
      palettizer, [](auto& p) { p.prepare(); }, 0);
  try_all(
      [&](loom::graph& g) {
        auto p = palettizer(g);
        p->prepare();
        return p;
      },
      [](auto& p) { p.finalize(); }, 0);
  const auto quantizer = [](loom::graph& g) {
    return std::make_unique<lutra::quantizer<loom::graph>>(g);
  };
  try_all(
      quantizer, [](auto& q) { q.prepare(); }, 0);
  twins count;
  quantizer(count.edges)->prepare();
  const int erasures = count_of(count.edges, "FakeQuant");
  try_all(
      [&](loom::graph& g) {
        auto q = quantizer(g);
        q->prepare();
        q->calibrate(std::vector{batch_of<loom::graph>(0)});
        return q;
      },
      [](auto& q) { q.finalize(); }, erasures - 1);

  // Batch norms in the form for training.
  const auto trainer = [](loom::graph& g) {
    return std::make_unique<lutra::quantizer<loom::graph>>(
        g, lutra::quantizer_config{}, lutra::quantizer_options{.train_batch_norms = true});
  };
  try_all(
      trainer, [](auto& q) { q.prepare(); }, 0);
  twins formed;
  trainer(formed.edges)->prepare();
  const int made = count_of(formed.edges, "Reshape") + count_of(formed.edges, "Sum") +
                   count_of(formed.edges, "Product") + count_of(formed.edges, "Quotient") +
                   count_of(formed.edges, "Offset") + count_of(formed.edges, "Root");
  CHECK(made == 10 + 12);  // a layer without bias, one with
  try_all(
      [&](loom::graph& g) {
        auto q = trainer(g);
        q->prepare();
        q->calibrate(std::vector{batch_of<loom::graph>(0)});
        return q;
      },
      [](auto& q) { q.finalize(); }, count_of(formed.edges, "FakeQuant") + made);
}

TEST_CASE("edge_graph: what a failed pass leaves computes the same") {
  for (const int k : {0, 3, 7, 11}) {
    twins t;
    const std::vector<float> expected = evaluate(t.edges);
    lutra::quantizer q(t.edges);
    t.edges.fail_in = k;
    CHECK_THROWS_AS(q.prepare(), loom::edit_failure);
    CHECK(evaluate(t.edges) == expected);
  }
}

TEST_CASE("edge_graph: results of a slicing node are quantized for themselves") {
  loom::graph g;
  loom::wire* const x = g.add_wire({2, 4, 2, 2});
  loom::wire* const a = g.add_wire({2, 2, 2, 2});
  loom::wire* const b = g.add_wire({2, 2, 2, 2});
  g.add("Slice", {x}, {a, b});
  g.add("ReLU", {b}, {b});
  g.add("Eltwise", {a, b}, {b});  // in the buffer of its second operand
  g.inputs = {x};
  g.outputs = {b};
  CHECK(lutra::edit_conformance(g) == std::vector<std::string>{});
  const lutra::quantization_plan p = lutra::plan(g);
  REQUIRE(p.places.size() == 3);
  CHECK(p.index.label(p.places[0].value) == "Slice#0:0");
  CHECK(p.index.label(p.places[1].value) == "ReLU#0");
  const loom::buffer batch{{2, 4, 2, 2}, std::vector<float>(32, 0.3F)};
  const auto expected = elements(g.run(std::vector<loom::buffer>{batch}));
  lutra::quantizer q(g);
  q.prepare();
  {
    const auto calibrating = q.calibration_mode();
    CHECK(elements(q.run(batch)) == expected);
  }
  const auto simulated = elements(q.run(batch));
  CHECK(simulated != expected);
  q.finalize();
  CHECK(elements(g.run(std::vector<loom::buffer>{batch})) == simulated);

  // Opt-in: a split passes its range on, and both results share one fake-quantizer.
  const lutra::plan_options shared{.patterns = [] {
    auto patterns = lutra::reference_patterns();
    patterns.add(lutra::shape_patterns());
    return patterns;
  }()};
  loom::graph h;
  loom::wire* const in = h.add_wire({1, 2});
  loom::wire* const wide = h.add_wire({1, 4});
  loom::wire* const left = h.add_wire({1, 2});
  loom::wire* const right = h.add_wire({1, 2});
  h.add_constant("w", {4, 2}, std::vector<float>(8, 0.5F));
  h.add("InnerProduct", {in}, {wide}).parameters["weight"] = {nullptr, "w"};
  h.add("Slice", {wide}, {left, right});
  h.inputs = {in};
  h.outputs = {left, right};
  const lutra::quantization_plan joined = lutra::plan(h, {}, shared);
  REQUIRE(joined.output_place[0] >= 0);
  REQUIRE(joined.output_place[1] >= 0);
  CHECK(joined.output_place[0] != joined.output_place[1]);
  CHECK(joined.places[lutra::to_size(joined.output_place[0])].group ==
        joined.places[lutra::to_size(joined.output_place[1])].group);
}

TEST_CASE("edge_graph: what an in-place node overwrites can still be read") {
  loom::graph g;
  loom::wire* const x = g.add_wire({1, 2});
  g.add("ReLU", {x}, {x});
  loom::wire* const y = g.add_wire({1, 2});
  g.add("Eltwise", {x, x}, {y});
  g.inputs = {x};
  g.outputs = {y};
  const loom::value input{x, -1};
  loom::node* const sum = &g.nodes.back();
  const std::vector<loom::buffer> batch{{{1, 2}, {-3.0F, 2.0F}}};
  CHECK(elements(g.run(batch)) == std::vector<float>{0.0F, 4.0F});
  loom_traits::set_operand(g, sum, 1, input);  // relu(x) + x
  CHECK(elements(g.run(batch)) == std::vector<float>{-3.0F, 4.0F});
  CHECK(loom_traits::operands(g, sum).back() == input);
  CHECK(loom_traits::operands(g, sum).front() == loom::value{&g.nodes.front(), 0});
  CHECK(loom_traits::op_type(g, &g.nodes.front()) == "relu");  // no longer in place
}

TEST_CASE("edge_graph: a bias that folding makes takes no name in the table of constants") {
  twins t;
  t.edges.table["stem.bias"] = t.edges.table.at("stem.bn.beta");  // a parameter, no operand
  std::next(t.edges.nodes.begin())->parameters.at("beta").stored = "stem.bias";
  const auto report = lutra::fold_batch_norm(t.edges);
  CHECK(report.folded() == 2);
  CHECK(report.records.at(0).detail == "new bias 'stem.bias_1'");
}
