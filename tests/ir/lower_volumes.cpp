// What lower.hpp makes of volumes, embeddings and batch norms.
#include <lutra/ir/lower.hpp>

#include "ir/finalized.hpp"

using namespace lutra;
using test::check_agreement;
using test::finalized;
using test::random_tensor;
using traits = graph_traits<ir::graph>;

namespace {

ir::graph volume_net() {
  ir::builder b;
  const auto w = [&](const char* name, const shape& s, std::uint64_t seed) {
    return b.state(name, random_tensor(s, seed));
  };
  auto x = b.apply("conv3d", {b.input("x"), w("a.weight", {6, 2, 3, 3, 2}, 1), w("a.bias", {6}, 2)},
                   {{"stride", {1, 2, 1}}, {"padding", {1}}});
  x = b.apply("max_pool3d", {b.relu(x)}, {{"kernel_size", {2}}, {"stride", {2}}});
  x = b.relu6(b.apply("conv_transpose3d", {x, w("b.weight", {6, 4, 2, 3, 3}, 3)},
                      {{"stride", {2, 1, 2}}, {"output_padding", {1, 0, 0}}, {"groups", {2}}}));
  x = b.apply("avg_pool3d", {x}, {{"kernel_size", {3, 1, 1}}, {"stride", {2, 1, 1}}});
  const auto m = b.apply("mean", {x}, {{"dim", {-3, -2, -1}}});
  const auto p = b.apply("adaptive_max_pool3d", {x}, {{"output_size", {1}}});
  b.output(b.add(b.linear(m, w("c.weight", {10, 8}, 4)),
                 b.linear(b.flatten(p), w("d.weight", {10, 8}, 5))));
  return std::move(b).build();
}

ir::graph text_net(bool two_readers = false) {
  ir::builder b;
  const auto ids = b.input("ids", false);
  const auto e = b.embedding(b.state("e.weight", random_tensor({50, 12}, 1)), ids);
  auto y = b.linear(e, b.state("f.weight", random_tensor({9, 12}, 2)),
                    b.state("f.bias", random_tensor({9}, 3)));
  if (two_readers) {
    y = b.add(y, b.linear(e, b.state("g.weight", random_tensor({9, 12}, 4))));
  }
  b.output(y);
  return std::move(b).build();
}
tensor<float> some_ids(const shape& extents) {
  random_stream random(8);
  tensor<float> ids(extents);
  for (float& x : ids.elements()) x = static_cast<float>(random.below(50));
  return ids;
}

qparams volume_qparams(float scale, std::int32_t zero_point) {
  return {.scale = {scale}, .zero_point = {zero_point}, .minval = {}};
}
// x -> quantize -> batch norm -> activation -> quantize.
ir::graph norm_net(bool affine, const char* activation) {
  ir::builder b;
  const auto x = b.input("x");
  const auto mean = b.state("mean", random_tensor({5}, 1));
  auto variance_data = random_tensor({5}, 2);
  for (float& v : variance_data.elements()) v = v * v;
  const auto variance = b.state("variance", variance_data);
  auto y = affine ? b.batch_norm(x, b.state("gamma", random_tensor({5}, 3)),
                                 b.state("beta", random_tensor({5}, 4)), mean, variance, 0.25)
                  : b.batch_norm(x, mean, variance, 0.25);
  const ir::node_id norm{0};
  if (activation != nullptr) y = b.apply(activation, {y});
  b.output(y);
  ir::graph g = std::move(b).build();
  traits::set_operand(g, norm, 0,
                      traits::emit_quantize_dequantize(g, x, volume_qparams(0.021F, 3)));
  traits::set_output(g, 0, traits::emit_quantize_dequantize(g, y, volume_qparams(0.037F, -9)));
  return g;
}

}  // namespace

TEST_CASE("lower: volumes follow the simulation for every scheme and grouping") {
  const auto x = random_tensor({20, 2, 7, 9, 6}, 11);
  for (const int group : {0, 2}) {
    check_agreement(finalized(volume_net(), x, {}, group), x, 0.1, 2);
    check_agreement(finalized(volume_net(), x, {dtype::uint8, qscheme::asymmetric}, group), x, 0.1,
                    2);
    check_agreement(finalized(volume_net(), x, {dtype::int8, qscheme::asymmetric}, group), x, 0.1,
                    2);
  }
}

TEST_CASE("lower: volumes give the same codes whichever way the batch is cut") {
  const auto x = random_tensor({4, 2, 7, 9, 6}, 11);
  const ir::integer_program program = ir::lower(finalized(volume_net(), x));
  const auto whole = program.run_codes(lutra::view(x));
  for (index_t i = 0; i < 4; ++i) {
    const tensor_view<const float> one(x.data() + i * 756, {1, 2, 7, 9, 6});
    const auto codes = program.run_codes(one);
    for (index_t k = 0; k < 10; ++k) CHECK(codes[k] == whole[i * 10 + k]);
  }
  CHECK(program.run_codes({x.data(), {0, 2, 7, 9, 6}}).extents() == shape{0, 10});
}

TEST_CASE("lower: pools of volumes between two quantizers equal the simulation in every code") {
  const auto x = random_tensor({2, 3, 5, 6, 4}, 3);
  for (const auto& [op, literals] : std::initializer_list<std::pair<const char*, ir::literal_map>>{
           {"max_pool3d", {{"kernel_size", {3, 2, 2}}, {"stride", {2, 1, 2}}, {"padding", {1}}}},
           {"adaptive_max_pool3d", {{"output_size", {5, 3, 2}}}}}) {
    ir::builder b;
    const auto in = b.input("x");
    b.output(b.apply(op, {in}, literals));
    ir::graph g = std::move(b).build();
    traits::set_operand(g, {0}, 0,
                        traits::emit_quantize_dequantize(g, in, volume_qparams(0.02F, 7)));
    CHECK(ir::lower(g).run(x) == ir::interpreter(g).run(x));
  }
}

TEST_CASE("lower: a batch norm of codes equals the simulation in every code") {
  const auto x = random_tensor({6, 5, 4, 3}, 7);
  for (const bool affine : {true, false}) {
    for (const char* activation : {static_cast<const char*>(nullptr), "relu", "relu6", "silu"}) {
      const ir::graph g = norm_net(affine, activation);
      const ir::integer_program program = ir::lower(g);
      CHECK(program.steps().size() == 1);
      CHECK(program.run(x) == ir::interpreter(g).run(x));
      const auto flat = random_tensor({9, 5}, 8);
      CHECK(program.run(flat) == ir::interpreter(g).run(flat));
      CHECK_ERROR(program.run(random_tensor({6, 4, 3}, 1)), shape_mismatch, "batch_norm",
                  "5 on axis 1");
    }
  }
  ir::graph training = norm_net(true, nullptr);
  training.training = true;
  CHECK_ERROR(ir::lower(training), unsupported, "statistics of a batch", "'batch_norm'");
  ir::graph uneven = norm_net(true, nullptr);
  uneven.values[1].data = tensor<float>({4});
  CHECK_ERROR(ir::lower(uneven), shape_mismatch, "per-channel operand", "'batch_norm'");
}

TEST_CASE("lower: embeddings look up what the input numbers, exactly") {
  const auto ids = some_ids({30, 7});
  for (const int group : {0, 5}) {
    for (const test::activation_choice a :
         {test::activation_choice{}, {dtype::uint8, qscheme::asymmetric}}) {
      check_agreement(finalized(text_net(), ids, a, group), ids, 0.02);
      check_agreement(finalized(text_net(true), ids, a, group), ids, 0.05);
    }
  }
  // The embedding alone: every code.
  ir::builder b;
  const auto in = b.input("ids", false);
  b.output(b.embedding(b.state("e.weight", random_tensor({50, 12}, 1)), in));
  const ir::graph g = finalized(std::move(b).build(), ids, {dtype::uint8, qscheme::asymmetric}, 5);
  const ir::integer_program program = ir::lower(g);
  CHECK(program.run(ids) == ir::interpreter(g).run(ids));
  // Strided indices are read in their order; those that are no rows are named.
  tensor<float> turned({7, 30});
  for (index_t i = 0; i < 210; ++i) turned[i % 7 * 30 + i / 7] = ids[i];
  const index_t strides[] = {1, 30};
  CHECK(program.run_codes({turned.data(), {30, 7}, strides}) ==
        program.run_codes(lutra::view(ids)));
  CHECK_ERROR(program.run(tensor<float>({2}, {1.0F, 50.0F})), invalid_argument,
              "node 'embedding' (embedding)", "50 at position 1");
}

TEST_CASE("lower: embeddings that integer mode does not have are refused by name") {
  const auto ids = some_ids({30, 7});
  const auto first = [](ir::graph& g, std::string_view op) -> ir::node& {
    for (const auto n : g.order) {
      if (g.at(n).op == op) return g.at(n);
    }
    FAIL("no such node");
    return g.nodes[0];
  };
  ir::graph dense = finalized(text_net(), ids);
  first(dense, "embedding").operands[0] = {1};  // the float weight
  CHECK_ERROR(ir::lower(dense), unsupported, "palettized weight", "'e.weight'", "'embedding'");
  ir::graph computed = finalized(text_net(), ids);
  first(computed, "embedding").operands[1] = first(computed, "embedding").operands[0];
  CHECK_ERROR(ir::lower(computed), unsupported, "the graph's input", "'embedding'");
  ir::graph outliers = finalized(text_net(), ids);
  for (ir::value& v : outliers.values) {
    if (v.name == "e.weight" && v.palette) v.palette->outliers = {{3}, {9.0F}};
  }
  CHECK_ERROR(ir::lower(outliers), unsupported, "no outliers", "'embedding'");
  ir::builder b;
  b.output(
      b.relu(b.embedding(b.state("e.weight", random_tensor({50, 12}, 1)), b.input("i", false))));
  ir::graph activated = std::move(b).build();
  kmeans_palettizer palettes(
      activated, {.global_config = {.op_state_spec = {{"weight", palettization_spec{}}}}});
  palettes.prepare();
  palettes.finalize();
  traits::set_output(
      activated, 0,
      traits::emit_quantize_dequantize(activated, activated.outputs[0], volume_qparams(0.02F, 0)));
  CHECK_ERROR(ir::lower(activated), unsupported, "fused relu", "'relu'", "embedding",
              "a quantize/dequantize pair between the two");
}
