// What it computes and refuses is tested where it is used: fold_batch_norm.cpp and train_batch_norm.cpp.
#include <lutra/flow/batch_norm_layers.hpp>

#include <cmath>

#include "nets.hpp"

using namespace lutra;

namespace {

// conv -> batch norm -> batch norm, another conv without one
struct two_norms : toy::graph {
  int w, conv, first, second;
  two_norms() {
    const int x = input();
    w = state("c.weight", random_tensor({3, 2, 3, 3}, 1));
    conv = op("conv2d", {x, w});
    first = norm(conv, 0.5F);
    second = norm(first, 2.0F);
    outputs = {op("conv2d", {second, state("d.weight", random_tensor({1, 3, 1, 1}, 2))})};
  }
  int norm(int x, float variance) {
    const int mean = state("mean", tensor<float>({3}, {1, 2, 3}));
    const int spread = state("variance", tensor<float>({3}, {variance, variance, variance}));
    const int y = op("batch_norm", {x, mean, spread});
    batch_norms[y] = {.mean = mean, .variance = spread, .eps = 0.25};
    return y;
  }
};

}  // namespace

TEST_CASE("batch_norm_layers: a run of batch norms counts as one, or only its first") {
  const two_norms g;
  const auto& graph = static_cast<const toy::graph&>(g);
  const batch_norm_layers<toy::graph> all_of(graph);
  const batch_norm_layers<toy::graph> first_of(graph, true);
  REQUIRE(all_of.layers().size() == 1);
  REQUIRE(first_of.layers().size() == 1);
  CHECK(all_of.report().folded() == 2);
  CHECK(first_of.report().folded() == 1);
  CHECK(first_of.report().records.at(1).outcome == fold_outcome::no_layer);
  const auto& values = all_of.indexed().values;
  CHECK(values[to_size(all_of.layers()[0].tail)] == g.second);
  CHECK(values[to_size(first_of.layers()[0].tail)] == g.first);
  CHECK(values[to_size(first_of.layers()[0].weight)] == g.w);
  CHECK(first_of.layers()[0].bias == graph_index::none);
  CHECK(first_of.layers()[0].made_bias == "c.bias");
  CHECK(first_of.layers()[0].rank == 4);
  const double s = 1 / std::sqrt(0.75);
  const double t = 1 / std::sqrt(2.25);
  for (std::size_t c = 0; c < 3; ++c) {
    const double mean = static_cast<double>(c) + 1;
    CHECK(first_of.layers()[0].scale[c] == doctest::Approx(s));
    CHECK(first_of.layers()[0].shift[c] == doctest::Approx(-mean * s));
    CHECK(all_of.layers()[0].scale[c] == doctest::Approx(s * t));
    CHECK(all_of.layers()[0].shift[c] == doctest::Approx((-mean * s - mean) * t));
  }
}
