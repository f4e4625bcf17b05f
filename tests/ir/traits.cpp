#include <lutra/ir/traits.hpp>

#include <lutra/flow/fold_batch_norm.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using traits = graph_traits<ir::graph>;

namespace {

ir::graph two_layers() {
  ir::builder b;
  b.module("a", "nn.Linear");
  const auto x = b.input("x");
  const auto y = b.linear(x, b.state("a.weight", test::random_tensor({3, 4}, 1)));
  b.module("");
  b.output(b.relu(y));
  return std::move(b).build();
}

// What a pass can see of a graph.
std::string seen(const ir::graph& g) {
  std::string s;
  for (const auto n : traits::nodes(g)) {
    s += std::string(traits::op_type(g, n)) + " " + std::string(traits::name(g, n)) + ":";
    for (const auto v : traits::operands(g, n)) s += " " + text_of(v.index);
    for (const auto v : traits::results(g, n)) s += " -> " + text_of(v.index);
    s += "\n";
  }
  for (const auto v : traits::outputs(g)) s += "out " + text_of(v.index) + "\n";
  return s;
}

struct batch_callback {
  void operator()(fake_quant_id, tensor_view<const float>, tensor_view<float>) const {}
};
static_assert(executable_graph<ir::graph, tensor<float>, batch_callback>);
static_assert(executable_graph<ir::graph, std::vector<tensor<float>>, batch_callback>);

}  // namespace

TEST_CASE("traits: what a pass reads") {
  const ir::graph g = two_layers();
  const auto linear = traits::nodes(g)[0];
  const auto w = traits::operands(g, linear)[1];
  CHECK(traits::op_type(g, linear) == "linear");
  CHECK(traits::module_path(g, linear) == "a");
  CHECK(traits::module_type(g, "a") == "nn.Linear");
  CHECK(traits::module_type(g, "b").empty());
  CHECK(traits::state_names(g, w) == std::vector<std::string>{"a.weight"});
  CHECK(traits::state_names(g, g.inputs[0]).empty());
  CHECK(traits::role_of(g, w) == value_role::state);
  CHECK(*traits::shape_of(g, w) == shape{3, 4});
  CHECK_FALSE(traits::shape_of(g, g.inputs[0]));
  CHECK(traits::constant(g, w).extents() == shape{3, 4});
  ir::builder b;
  b.output(b.batch_norm(b.input("x"), b.input("a"), b.input("b"), b.input("c"), b.input("d"), 0.5));
  const ir::graph bn = std::move(b).build();
  CHECK(traits::literal(bn, traits::nodes(bn)[0], "eps") == 0.5);
  CHECK_FALSE(traits::literal(bn, traits::nodes(bn)[0], "momentum"));
}

TEST_CASE("traits: insertions stand right behind the producer, and erasing takes them away") {
  ir::graph g = two_layers();
  const std::string before = seen(g);
  const auto linear = g.order[0];
  const auto y = traits::results(g, linear)[0];
  const auto fq = traits::insert_fake_quant(g, y, {7});
  CHECK(traits::op_type(g, g.order[1]) == "fake_quant");
  CHECK(g.at(g.order[1]).fake_quant == fake_quant_id{7});
  CHECK(traits::name(g, g.order[1]) == "linear_fake_quant");
  CHECK(traits::module_path(g, g.order[1]) == "a");
  const auto fq2 = traits::insert_fake_quant(g, g.inputs[0], {8});
  CHECK(traits::op_type(g, g.order[0]) == "fake_quant");
  const auto pair =
      traits::emit_quantize_dequantize(g, y, {.scale = {0.5F}, .zero_point = {0}, .minval = {}});
  const auto codes = g.at(g.at(pair).producer).operands[0];
  CHECK_FALSE(traits::is_float(g, codes));
  CHECK(traits::is_float(g, pair));
  packed_palette palette;
  palette.weight_shape = {3, 4};
  palette.block = {3, 4};
  const auto packed = traits::emit_palette(g, traits::operands(g, linear)[1], palette);
  CHECK(traits::role_of(g, packed) == value_role::packed_state);
  CHECK(*traits::shape_of(g, packed) == shape{3, 4});
  CHECK_NOTHROW(ir::verify(g));
  for (const auto v : {pair, fq, packed, fq2}) traits::erase(g, v);
  CHECK(seen(g) == before);
  CHECK_NOTHROW(ir::verify(g));
  CHECK_ERROR(traits::erase(g, g.inputs[0]), invalid_argument, "only an inserted value", "'x'");
}

TEST_CASE("traits: names of inserted nodes are unique") {
  ir::graph g = two_layers();
  const auto a = traits::insert_fake_quant(g, g.inputs[0], {0});
  const auto b = traits::insert_fake_quant(g, g.inputs[0], {1});
  CHECK(g.at(g.at(a).producer).name == "x_fake_quant");
  CHECK(g.at(g.at(b).producer).name == "x_fake_quant_1");
}

TEST_CASE("traits: a constant keeps its shape") {
  ir::graph g = two_layers();
  const auto w = traits::operands(g, g.order[0])[1];
  const auto other = test::random_tensor({3, 4}, 9);
  traits::set_constant(g, w, lutra::view(other));
  CHECK(test::same_bits(g.at(w).data, other));
  CHECK_ERROR(traits::set_constant(g, w, lutra::view(test::random_tensor({4, 3}, 9))),
              shape_mismatch, "a.weight", "[4, 3]", "[3, 4]");
  CHECK_ERROR(traits::set_constant(g, g.inputs[0], lutra::view(other)), shape_mismatch, "x");
  CHECK(test::same_bits(g.at(w).data, other));
}

TEST_CASE("traits: slots out of range are errors") {
  ir::graph g = two_layers();
  CHECK_ERROR(traits::set_operand(g, g.order[0], 2, g.inputs[0]), invalid_argument, "slot",
              "got 2");
  CHECK_ERROR(traits::set_output(g, 1, g.inputs[0]), invalid_argument, "slot", "got 1");
}

TEST_CASE("traits: a journal that is not committed leaves the graph as it was") {
  ir::graph g = two_layers();
  const std::string before = seen(g);
  const auto y = traits::results(g, g.order[0])[0];
  CHECK_ERROR(edit_graph(g,
                         [&](journal<ir::graph>& edits) {
                           const auto fq = edits.insert_fake_quant(y, {0});
                           edits.set_operand(g.order[2], 0, fq);
                           edits.set_output(0, fq);
                           raise(errc::cancelled, "stop");
                         }),
              cancelled, "stop");
  CHECK(seen(g) == before);
}

TEST_CASE("traits: parameters of a batch norm, biases, states and nodes that come and go") {
  ir::builder b;
  const auto s = [&](const char* name) { return b.state(name, test::random_tensor({3}, 1)); };
  const auto x = b.input("x");
  const auto y = b.linear(x, b.state("w", test::random_tensor({3, 4}, 1)));
  const auto plain = b.batch_norm(y, s("m"), s("v"), 0.5);
  const auto full = b.batch_norm(plain, s("g"), s("b"), s("m2"), s("v2"));
  b.output(b.batch_norm(full, b.input("computed"), s("v3")));
  b.output(b.apply("batch_norm", {x, s("z")}));
  ir::graph g = std::move(b).build();
  const auto of = [&](std::size_t i) { return traits::batch_norm_of(g, g.order[i]); };
  REQUIRE(of(1));
  CHECK_FALSE(of(1)->weight);
  CHECK_FALSE(of(1)->bias);
  CHECK(g.at(of(1)->mean).name == "m");
  CHECK(g.at(of(1)->variance).name == "v");
  CHECK(of(1)->eps == 0.5);
  REQUIRE(of(2));
  CHECK(g.at(*of(2)->weight).name == "g");
  CHECK(g.at(*of(2)->bias).name == "b");
  CHECK(g.at(of(2)->mean).name == "m2");
  CHECK(of(2)->eps == 1e-5);
  CHECK_FALSE(of(4));

  const std::string before = seen(g);
  const auto bias = test::random_tensor({3}, 7);
  const auto added = traits::add_state(g, "new", lutra::view(bias));
  CHECK(traits::role_of(g, added) == value_role::state);
  CHECK(test::same_bits(g.at(added).data, bias));
  traits::set_bias(g, g.order[0], added);
  CHECK(traits::operands(g, g.order[0]).back() == added);
  CHECK_NOTHROW(ir::verify(g));
  traits::set_bias(g, g.order[0], std::nullopt);
  traits::erase(g, added);
  CHECK(seen(g) == before);
  traits::set_operand(g, g.order[3], 0, y);
  const std::vector<ir::node_id> dead{g.order[1], g.order[2]};
  traits::erase_nodes(g, dead);
  CHECK(g.order.size() == 3);
  CHECK_NOTHROW(ir::verify(g));
}

TEST_CASE("traits: a network with batch norms behind every layer computes the same when folded") {
  ir::builder b;
  std::uint64_t seed = 1;
  const auto state = [&](const std::string& name, const shape& s, bool positive = false) {
    auto data = test::random_tensor(s, ++seed);
    for (float& v : data.elements()) v = positive ? v * v + 0.2F : 0.5F * v;
    return b.state(name, std::move(data));
  };
  int count = 0;
  const auto norm = [&](ir::value_id x, index_t channels, bool affine = true) {
    const std::string name = "bn" + std::to_string(++count);
    const auto mean = state(name + ".running_mean", {channels});
    const auto variance = state(name + ".running_var", {channels}, true);
    if (!affine) return b.batch_norm(x, mean, variance, 1e-2);
    return b.batch_norm(x, state(name + ".weight", {channels}), state(name + ".bias", {channels}),
                        mean, variance, 1e-3);
  };
  auto x = b.input("x");
  x = b.relu(norm(b.conv2d(x, state("a.weight", {6, 2, 3, 3}), {}, {.padding = {1, 1}}), 6));
  x = norm(
      norm(b.conv2d(x, state("b.weight", {6, 1, 3, 3}), state("b.bias", {6}), {.groups = 6}), 6), 6,
      false);
  x = b.relu6(norm(
      b.conv_transpose2d(x, state("c.weight", {6, 2, 2, 2}), {}, {.stride = {2, 2}, .groups = 3}),
      6));
  x = b.reshape(x, {-1, 6, 96});
  x = norm(b.conv1d(x, state("d.weight", {4, 6, 5}), state("d.bias", {4}), {.stride = 4}), 4);
  x = norm(b.apply("conv_transpose1d", {x, state("e.weight", {4, 3, 2})}), 3, false);
  x = b.flatten(x);
  x = norm(b.linear(x, state("f.weight", {5, 72}), state("f.bias", {5})), 5);
  b.output(b.linear(x, state("g.weight", {4, 5})));
  ir::graph g = std::move(b).build();
  const auto input = test::random_tensor({3, 2, 6, 10}, 99);
  const auto before = ir::interpreter(g).run(input);
  const batch_norm_report report = fold_batch_norm(g);
  CHECK(report.records.size() == 7);
  CHECK(report.folded() == 7);
  CHECK_NOTHROW(ir::verify(g));
  for (const auto n : g.order) CHECK(g.at(n).op != "batch_norm");
  const auto after = ir::interpreter(g).run(input);
  REQUIRE(after.extents() == before.extents());
  float largest = 0;
  for (const float y : before.elements()) largest = std::max(largest, std::abs(y));
  for (index_t i = 0; i < after.size(); ++i)
    CHECK(std::abs(after[i] - before[i]) <= 1e-5F * largest);
}
