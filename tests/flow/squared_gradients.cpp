#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/squared_gradients.hpp>

#include "errors.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {
const palettizer_config two_bits{.global_config = {.op_state_spec = {{"weight", {.n_bits = 2}}}}};
// The graph of a net.
const toy::graph& graph_of(const toy::graph& g) { return g; }
}  // namespace

TEST_CASE("squared_gradients: sums of squares over batches become sensitivities") {
  const small_net net;
  squared_gradients gradients(graph_of(net), two_bits);
  tensor<float> g({6, 5});
  g[0] = 3;
  g[7] = -1;
  gradients.add("fc1.weight", lutra::view(std::as_const(g)));
  g[0] = 1;
  g[7] = 2;
  gradients.add("fc1.weight", lutra::view(std::as_const(g)));
  CHECK(gradients.count("fc1.weight") == 2);
  CHECK(gradients.count("fc2.weight") == 0);
  CHECK(gradients.count("nobody") == 0);
  const weight_sensitivities s = gradients.sensitivities();
  CHECK(s.size() == 1);  // no gradient came for fc2.weight
  const auto values = s.find("fc1.weight");
  CHECK(values(0, 0) == 1.0F);  // 10
  CHECK(values(1, 2) == 0.5F);  // 5
  CHECK(values(5, 4) == 0.5F);  // 0: the least above 0
}

TEST_CASE("squared_gradients: the order of the axes of a view is respected") {
  const small_net net;
  squared_gradients gradients(graph_of(net), two_bits);
  const tensor<float> stored = random_tensor({5, 6}, 3);
  const index_t strides[] = {1, 6};
  gradients.add("fc1.weight", tensor_view<const float>(stored.data(), {6, 5}, strides));
  squared_gradients dense(graph_of(net), two_bits);
  tensor<float> turned({6, 5});
  for (index_t i = 0; i < 6; ++i) {
    for (index_t j = 0; j < 5; ++j) turned[5 * i + j] = stored[6 * j + i];
  }
  dense.add("fc1.weight", lutra::view(std::as_const(turned)));
  CHECK(gradients.sensitivities() == dense.sensitivities());
}

TEST_CASE("squared_gradients: what is handed in is checked, nothing is half added") {
  const small_net net;
  squared_gradients gradients(graph_of(net), two_bits);
  const tensor<float> good({6, 5});
  const tensor_view<const float> zeros = lutra::view(good);
  CHECK_ERROR(gradients.add("fc1.wieght", zeros), invalid_argument, "'fc1.wieght'",
              "did you mean 'fc1.weight'?");
  CHECK_ERROR(gradients.add("fc1.bias", zeros), invalid_argument, "'fc1.bias'");
  const tensor<float> turned({5, 6});
  CHECK_ERROR(gradients.add("fc1.weight", lutra::view(turned)), shape_mismatch, "[5, 6]", "[6, 5]",
              "'fc1.weight'");
  for (const float x :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    tensor<float> bad({6, 5});
    bad[29] = x;
    CHECK_ERROR(gradients.add("fc1.weight", lutra::view(std::as_const(bad))), non_finite,
                "position 29", "'fc1.weight'");
  }
  CHECK(gradients.count("fc1.weight") == 0);
  CHECK_ERROR(gradients.sensitivities(), invalid_state, "no gradient was added");
}

TEST_CASE("squared_gradients: every name of a shared weight leads to it") {
  toy::graph g;
  const int x = g.input();
  const int w = g.shared_state({"a.weight", "b.weight"}, random_tensor({5, 5}, 4));
  g.outputs = {g.op("linear", {g.op("linear", {x, w}, "a"), w}, "b")};
  squared_gradients gradients(g, two_bits);
  const tensor<float> ones({5, 5}, std::vector<float>(25, 1.0F));
  gradients.add("b.weight", lutra::view(ones));
  gradients.add("a.weight", lutra::view(ones));
  CHECK(gradients.count("a.weight") == 2);
  CHECK(gradients.sensitivities().find("a.weight").data() != nullptr);
}

TEST_CASE("squared_gradients: the adapter's backward pass is recorded, other states are not kept") {
  const small_net net;
  toy::graph g = net;
  const std::vector<toy::gradients> batches{
      {{{net.w1, random_tensor({6, 5}, 1)}, {net.bias, random_tensor({6}, 2)}}},
      {{{net.w2, random_tensor({4, 6}, 3)}, {net.w1, random_tensor({6, 5}, 4)}}}};
  squared_gradients driven(graph_of(net), two_bits);
  std::vector<index_t> seen;
  driven.record(g, batches, [&](std::string_view stage, index_t done, index_t total) {
    CHECK(stage == "gradients");
    CHECK(total == 2);
    seen.push_back(done);
    return true;
  });
  CHECK(seen == std::vector<index_t>{0, 1, 2});
  squared_gradients by_hand(graph_of(net), two_bits);
  by_hand.add("fc1.weight", lutra::view(batches[0].of[0].second));
  by_hand.add("fc2.weight", lutra::view(batches[1].of[0].second));
  by_hand.add("fc1.weight", lutra::view(batches[1].of[1].second));
  CHECK(driven.sensitivities() == by_hand.sensitivities());
  CHECK(driven.count("fc1.weight") == 2);

  const std::vector<toy::gradients> empty{batches[0], {{{net.bias, random_tensor({6}, 2)}}}};
  CHECK_ERROR(driven.record(g, empty), invalid_state, "no gradient of a weight", "batch 1");
  CHECK_ERROR(driven.record(g, batches, [](auto...) { return false; }), cancelled, "gradients");
}

TEST_CASE("squared_gradients: parts of two processes merge") {
  const small_net net;
  squared_gradients a(graph_of(net), two_bits), b(graph_of(net), two_bits),
      both(graph_of(net), two_bits);
  tensor<float> x({6, 5}), y({6, 5});
  for (index_t i = 0; i < 30; ++i) {
    x[i] = static_cast<float>(i);  // whole numbers: sums are exact
    y[i] = static_cast<float>(30 - i);
  }
  a.add("fc1.weight", lutra::view(std::as_const(x)));
  b.add("fc1.weight", lutra::view(std::as_const(y)));
  both.add("fc1.weight", lutra::view(std::as_const(x)));
  both.add("fc1.weight", lutra::view(std::as_const(y)));
  squared_gradients empty(graph_of(net), two_bits);
  a.merge(b);
  a.merge(empty);
  empty.merge(a);
  CHECK(a.sensitivities() == both.sensitivities());
  CHECK(empty.sensitivities() == both.sensitivities());
  CHECK(a.count("fc1.weight") == 2);
  toy::graph other = net;
  other.values.at(net.w1).names = {"fc9.weight"};
  squared_gradients renamed(graph_of(other), two_bits);
  CHECK_ERROR(a.merge(renamed), incompatible, "'fc9.weight'", "'fc1.weight'");
  squared_gradients one(graph_of(net),
                        palettizer_config{.global_config = {.op_name_config = {{"linear", off}}}});
  CHECK_ERROR(a.merge(one), incompatible, "weights");
}

TEST_CASE("squared_gradients: the palettizer clusters with them as importance") {
  const small_net original;
  squared_gradients gradients(graph_of(original), two_bits);
  gradients.add("fc1.weight", lutra::view(random_tensor({6, 5}, 8)));
  const weight_sensitivities s = gradients.sensitivities();
  toy::graph weighted = original, plain = original, even = original;
  kmeans_palettizer palettizer(weighted, two_bits);
  palettizer.prepare(s);
  palettize_options how;
  how.importance = s.find("fc1.weight");
  const palette<float> expected =
      palettize(lutra::view(original.values.at(original.w1).data), {.n_bits = 2}, how);
  CHECK(weighted.values.at(original.w1).data == restore(expected));
  CHECK(palettizer.report().notes.empty());

  kmeans_palettizer(plain, two_bits).prepare();
  CHECK_FALSE(plain.values.at(original.w1) == weighted.values.at(original.w1));
  CHECK(plain.values.at(original.w2) == weighted.values.at(original.w2));  // nothing came for it
  // Sensitivities that are all alike change nothing.
  weight_sensitivities alike;
  alike.set("fc1.weight", tensor<float>({6, 5}, std::vector<float>(30, 1.0F)));
  kmeans_palettizer(even, two_bits).prepare(alike);
  CHECK(even.same_as(plain));
  // A file gives the same palettes.
  toy::graph from_file = original;
  weight_sensitivities loaded;
  loaded.load(s.save());
  kmeans_palettizer(from_file, two_bits).prepare(loaded);
  CHECK(from_file.same_as(weighted));
}

TEST_CASE(
    "squared_gradients: the palettizer refuses other shapes and notes names it does not use") {
  toy::graph g = small_net();
  const toy::graph before = g;
  weight_sensitivities s;
  s.set("fc1.weight", tensor<float>({5, 6}, std::vector<float>(30, 1.0F)));
  kmeans_palettizer palettizer(g, two_bits);
  CHECK_ERROR(palettizer.prepare(s), shape_mismatch, "fc1.weight", "[5, 6]", "[6, 5]");
  CHECK(g.same_as(before));
  weight_sensitivities bias;
  bias.set("fc1.bias", tensor<float>({6}, std::vector<float>(6, 1.0F)));
  palettizer.prepare(bias);
  CHECK(palettizer.report().notes ==
        std::vector<std::string>{
            "sensitivities of 'fc1.bias' are not used: no weight of that name is palettized"});
}
