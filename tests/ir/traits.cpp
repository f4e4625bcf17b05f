#include <lutra/ir/traits.hpp>

#include <lutra/flow/journal.hpp>

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
