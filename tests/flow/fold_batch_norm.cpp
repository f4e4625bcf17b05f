#include <lutra/flow/fold_batch_norm.hpp>

#include <cmath>
#include <limits>

#include "errors.hpp"
#include "nets.hpp"

using namespace lutra;

// A graph whose adapter can edit but not fold.
struct plain_graph : toy::graph {};
template <> struct lutra::graph_traits<plain_graph> {
  using base = graph_traits<toy::graph>;
  using node_id = int;
  using value_id = int;
  using graph = plain_graph;
  static const std::vector<int>& nodes(const graph& g) { return base::nodes(g); }
  static const std::string& op_type(const graph& g, int n) { return base::op_type(g, n); }
  static const std::vector<int>& operands(const graph& g, int n) { return base::operands(g, n); }
  static const std::vector<int>& results(const graph& g, int n) { return base::results(g, n); }
  static const std::vector<int>& outputs(const graph& g) { return g.outputs; }
  static value_role role_of(const graph& g, int v) { return base::role_of(g, v); }
  static bool is_float(const graph& g, int v) { return base::is_float(g, v); }
  static tensor_view<const float> constant(const graph& g, int v) { return base::constant(g, v); }
  static void set_constant(graph& g, int v, tensor_view<const float> d) {
    base::set_constant(g, v, d);
  }
  static int insert_fake_quant(graph& g, int v, fake_quant_id i) {
    return base::insert_fake_quant(g, v, i);
  }
  static int emit_quantize_dequantize(graph& g, int v, const qparams& q) {
    return base::emit_quantize_dequantize(g, v, q);
  }
  static int emit_palette(graph& g, int v, const packed_palette& p) {
    return base::emit_palette(g, v, p);
  }
  static void set_operand(graph& g, int n, std::size_t slot, int v) {
    base::set_operand(g, n, slot, v);
  }
  static void set_output(graph& g, std::size_t slot, int v) { base::set_output(g, slot, v); }
  static void erase(graph& g, int v) { base::erase(g, v); }
};
static_assert(editable_graph<plain_graph> && !foldable_graph<plain_graph>);

namespace {

// One state per parameter, positive variances.
batch_norm_operands<int> parameters(toy::graph& g, const std::string& name, index_t channels,
                                    std::uint64_t seed, double eps = 1e-3) {
  tensor<float> variance = random_tensor({channels}, seed);
  for (float& v : variance.elements()) v = v * v + 0.1F;
  return {.weight = g.state(name + ".weight", random_tensor({channels}, seed + 1)),
          .bias = g.state(name + ".bias", random_tensor({channels}, seed + 2)),
          .mean = g.state(name + ".running_mean", random_tensor({channels}, seed + 3)),
          .variance = g.state(name + ".running_var", std::move(variance)),
          .eps = eps};
}
// A batch norm node over x; its operands are x and whatever parameters there are.
int batch_norm(toy::graph& g, int x, const batch_norm_operands<int>& p) {
  std::vector<int> operands{x};
  for (const auto& o : {p.weight, p.bias}) {
    if (o) operands.push_back(*o);
  }
  operands.push_back(p.mean);
  operands.push_back(p.variance);
  const int result = g.op("batch_norm", operands);
  g.batch_norms[result] = p;
  return result;
}

struct layer_case {
  const char* op;
  shape weight;
  index_t channels;
  bool transposed;
  index_t groups;
};
const layer_case layers[] = {
    {"conv1d", {4, 3, 5}, 4, false, 1},
    {"conv2d", {6, 2, 3, 3}, 6, false, 1},
    {"conv2d", {8, 1, 3, 3}, 8, false, 8},  // depthwise
    {"conv3d", {2, 3, 2, 2, 2}, 2, false, 1},
    {"linear", {5, 7}, 5, false, 1},
    {"conv_transpose1d", {3, 4, 5}, 4, true, 1},
    {"conv_transpose2d", {3, 4, 2, 2}, 4, true, 1},
    {"conv_transpose2d", {6, 2, 2, 3}, 6, true, 3},  // grouped: 3 x (2 inputs, 2 outputs)
    {"conv_transpose2d", {4, 1, 3, 3}, 4, true, 4},  // depthwise
    {"conv_transpose3d", {2, 3, 2, 1, 2}, 3, true, 1},
};

// A layer, a batch norm, a relu.
struct small_graph : toy::graph {
  int x, w, bias = -1, y, bn, out;
  batch_norm_operands<int> p;
  explicit small_graph(const layer_case& c, bool biased, bool affine = true) {
    x = input();
    w = state("a.weight", random_tensor(c.weight, 1));
    const int data = std::string_view(c.op) == "linear" ? op("flatten", {x}) : x;
    std::vector<int> operands{data, w};
    if (biased) operands.push_back(bias = state("a.bias", random_tensor({c.channels}, 2)));
    y = op(c.op, operands);
    p = parameters(*this, "bn", c.channels, 10);
    if (!affine) p.weight = p.bias = std::nullopt;
    bn = batch_norm(*this, y, p);
    out = op("relu", {bn});
    outputs = {out};
  }
  double at(int v, index_t i) const { return static_cast<double>(values.at(v).data[i]); }
};
const layer_case& conv = layers[1];

fold_outcome outcome_of(toy::graph& g) {
  const toy::graph before = g;
  const batch_norm_report report = fold_batch_norm(g);
  REQUIRE(report.records.size() == 1);
  CHECK(g.same_as(before));
  CHECK(g.edits == before.edits);
  return report.records[0].outcome;
}

}  // namespace

TEST_CASE("fold_batch_norm: every layer, rounded once from double") {
  for (const layer_case& c : layers) {
    for (const bool biased : {true, false}) {
      for (const bool affine : {true, false}) {
        CAPTURE(std::string(c.op) + text_of(c.weight) + (biased ? " biased" : "") +
                (affine ? " affine" : ""));
        small_graph g(c, biased, affine);
        const small_graph before = g;
        const batch_norm_report report = fold_batch_norm(static_cast<toy::graph&>(g));
        REQUIRE(report.records.size() == 1);
        CHECK(report.folded() == 1);
        CHECK(report.records[0].name == "batch_norm");
        CHECK(report.records[0].layer == c.op);
        CHECK(report.records[0].weight == "a.weight");
        CHECK(report.records[0].detail == (biased ? "" : "new bias 'a.bias'"));
        CHECK(g.count("batch_norm") == 0);
        CHECK(g.order.size() == (std::string_view(c.op) == "linear" ? 3 : 2));
        CHECK(g.maker(g.out).operands == std::vector<int>{g.y});
        const auto operands = g.maker(g.y).operands;
        REQUIRE(operands.size() == 3);
        const int bias = operands[2];
        if (biased) CHECK(bias == g.bias);
        CHECK(g.values.at(bias).names == std::vector<std::string>{"a.bias"});
        const auto scale = [&](index_t o) {
          const double gamma = affine ? before.at(*before.p.weight, o) : 1.0;
          return gamma / std::sqrt(before.at(before.p.variance, o) + 1e-3);
        };
        const index_t inner = c.weight.product(2, c.weight.rank());
        const index_t group_inputs = c.weight[0] / c.groups;
        for (index_t i = 0; i < c.weight.size(); ++i) {
          const index_t first = i / inner / c.weight[1];
          const index_t second = i / inner % c.weight[1];
          const index_t o = c.transposed ? first / group_inputs * c.weight[1] + second : first;
          CHECK(g.values.at(g.w).data[i] == static_cast<float>(before.at(before.w, i) * scale(o)));
        }
        for (index_t o = 0; o < c.channels; ++o) {
          const double b = biased ? before.at(before.bias, o) : 0.0;
          volatile double product = (b - before.at(before.p.mean, o)) * scale(o);
          const double beta = affine ? before.at(*before.p.bias, o) : 0.0;
          CHECK(g.values.at(bias).data[o] == static_cast<float>(product + beta));
        }
        CHECK(fold_batch_norm(static_cast<toy::graph&>(g)).records.empty());
      }
    }
  }
}

TEST_CASE("fold_batch_norm: several in a row count as one; those behind a stuck one stay") {
  small_graph g(conv, true);
  const auto second = parameters(g, "second", 6, 20, 0.5);
  const int b = batch_norm(g, g.bn, second);
  const int c = batch_norm(g, b, parameters(g, "third", 5, 30));  // one channel too few
  const int d = batch_norm(g, c, parameters(g, "fourth", 6, 40));
  g.outputs = {d, d};
  g.order.erase(g.order.begin() + 2);  // the relu
  const small_graph before = g;
  const batch_norm_report report = fold_batch_norm(static_cast<toy::graph&>(g));
  REQUIRE(report.records.size() == 4);
  CHECK(report.records[0].outcome == fold_outcome::folded);
  CHECK(report.records[1].outcome == fold_outcome::folded);
  CHECK(report.records[2].outcome == fold_outcome::parameters_do_not_fit);
  CHECK(report.records[2].layer == "conv2d");
  CHECK(report.records[3].outcome == fold_outcome::no_layer);
  CHECK(g.maker(c).operands[0] == g.y);
  CHECK(g.count("batch_norm") == 2);
  for (index_t i = 0; i < 6 * 18; ++i) {
    const index_t o = i / 18;
    const double s = before.at(*g.p.weight, o) / std::sqrt(before.at(g.p.variance, o) + 1e-3);
    const double t = before.at(*second.weight, o) / std::sqrt(before.at(second.variance, o) + 0.5);
    CHECK(g.values.at(g.w).data[i] == static_cast<float>(before.at(g.w, i) * (s * t)));
  }
}

TEST_CASE("fold_batch_norm: the graph's outputs and every reader move to the layer") {
  small_graph g(conv, true);
  g.outputs = {g.bn, g.out, g.bn};
  const int more = g.op("add", {g.bn, g.bn});
  g.outputs.push_back(more);
  fold_batch_norm(static_cast<toy::graph&>(g));
  CHECK(g.outputs == std::vector<int>{g.y, g.out, g.y, more});
  CHECK(g.maker(more).operands == std::vector<int>{g.y, g.y});
}

TEST_CASE("fold_batch_norm: a bias with other readers is left, and names stay unique") {
  small_graph g(conv, true);
  g.outputs.push_back(g.bias);
  const int taken = g.state("a.bias_1");
  g.outputs.push_back(g.op("relu", {taken}));
  const tensor<float> old = g.values.at(g.bias).data;
  const batch_norm_report report = fold_batch_norm(static_cast<toy::graph&>(g));
  const int bias = g.maker(g.y).operands[2];
  CHECK(bias != g.bias);
  CHECK(g.values.at(bias).names[0] == "a.bias_2");
  CHECK(report.records[0].detail == "new bias 'a.bias_2'");
  CHECK(g.values.at(g.bias).data == old);
  small_graph odd(conv, false);
  odd.values.at(odd.w).names = {"filters"};
  CHECK(fold_batch_norm(static_cast<toy::graph&>(odd)).records[0].detail ==
        "new bias 'filters_bias'");
}

TEST_CASE("fold_batch_norm: a new bias takes no name of a parameter that is no operand") {
  small_graph g(conv, false);
  g.maker(g.bn).operands.resize(1);
  g.values.at(*g.p.bias).names = {"a.bias"};
  fold_batch_norm(static_cast<toy::graph&>(g));
  CHECK(g.values.at(g.maker(g.y).operands[2]).names[0] == "a.bias_1");
}

TEST_CASE("fold_batch_norm: what cannot be folded stays, with a typed reason") {
  const auto with = [](auto&& change) {
    small_graph g(conv, true);
    change(g);
    return outcome_of(g);
  };
  using o = fold_outcome;
  CHECK(with([](auto& g) { g.outputs.push_back(g.y); }) == o::read_elsewhere);
  CHECK(with([](auto& g) { g.op("relu", {g.y}); }) == o::read_elsewhere);
  CHECK(with([](auto& g) { g.op("conv2d", {g.x, g.w}); }) == o::weight_shared);
  CHECK(with([](auto& g) { g.outputs.push_back(g.w); }) == o::weight_shared);
  CHECK(with([](auto& g) { g.maker(g.bn).operands[0] = g.x; }) == o::no_layer);
  CHECK(with([](auto& g) { g.maker(g.y).op = "embedding"; }) == o::no_layer);
  CHECK(with([](auto& g) { g.batch_norms.clear(); }) == o::parameters_unknown);
  CHECK(with([](auto& g) { g.batch_norms.at(g.bn).mean = g.x; }) == o::parameters_computed);
  CHECK(with([](auto& g) { g.values.at(*g.p.weight).is_float = false; }) == o::parameters_computed);
  CHECK(with([](auto& g) { g.values.at(g.p.mean).data = tensor<float>({5}); }) ==
        o::parameters_do_not_fit);
  CHECK(with([](auto& g) {
          g.values.at(g.p.variance).data = tensor<float>({6, 1});
        }) == o::parameters_do_not_fit);
  CHECK(with([](auto& g) { g.values.at(*g.p.bias).data = tensor<float>({0}); }) ==
        o::parameters_do_not_fit);
  CHECK(with([](auto& g) {
          g.values.at(g.w).data = tensor<float>({6, 2, 9});
        }) == o::parameters_do_not_fit);
  CHECK(with([](auto& g) { g.values.at(g.bias).data = tensor<float>({7}); }) ==
        o::parameters_do_not_fit);
  CHECK(with([](auto& g) { g.values.at(g.w).is_float = false; }) == o::weight_computed);
  CHECK(with([](auto& g) { g.maker(g.y).operands[1] = g.x; }) == o::weight_computed);
  CHECK(with([](auto& g) { g.maker(g.y).operands[1] = g.packed(); }) == o::weight_palettized);
  CHECK(with([](auto& g) { g.maker(g.y).operands[2] = g.x; }) == o::bias_computed);
  CHECK(with([](auto& g) { g.values.at(g.p.variance).data[3] = -1.0F; }) == o::not_finite);
  CHECK(with([](auto& g) {
          g.values.at(g.w).data[3] = 1e38F, g.values.at(*g.p.weight).data[0] = 1e9F;
        }) == o::not_finite);
  CHECK(with([](auto& g) {
          g.values.at(*g.p.bias).data[2] = std::numeric_limits<float>::infinity();
        }) == o::not_finite);
  CHECK(with([](auto& g) {
          const int statistics = g.add({});
          g.maker(g.bn).results.push_back(statistics);
          g.outputs.push_back(statistics);
        }) == o::extra_results_read);
  for (const char* between : {"relu", "add"}) {  // what tells a linear layer's rank, or does not
    small_graph g(layers[4], true);
    int& data = g.maker(g.y).operands[0];
    const int flat = data;
    data = g.op(between, {flat});
    std::rotate(g.order.begin() + 1, g.order.end() - 1, g.order.end());
    const bool known = between == std::string_view("relu");
    const batch_norm_report r = fold_batch_norm(static_cast<toy::graph&>(g));
    CHECK(r.records.at(0).outcome == (known ? o::folded : o::rank_unknown));
  }
  small_graph unknown(layers[4], true);
  unknown.maker(unknown.y).operands[0] = unknown.x;
  CHECK(outcome_of(unknown) == o::rank_unknown);
  small_graph image(layers[4], true);  // behind a convolution: its rank is known, and not 2
  image.maker(image.y).operands[0] =
      image.op("conv2d", {image.x, image.state("c.weight", random_tensor({4, 2, 1, 1}, 1))});
  std::rotate(image.order.begin() + 1, image.order.end() - 1, image.order.end());
  CHECK(outcome_of(image) == o::parameters_do_not_fit);
  // Four outputs per group of six inputs: groups do not come out even.
  small_graph transposed({"conv_transpose2d", {6, 4, 2, 2}, 10, true, 1}, false);
  CHECK(outcome_of(transposed) == o::parameters_do_not_fit);
}

TEST_CASE("fold_batch_norm: the log and the report name what is in the way") {
  small_graph g(conv, true);
  g.values.at(g.p.variance).data[4] = -1.0F;
  std::vector<std::string> lines;
  const batch_norm_report report = fold_batch_norm(
      static_cast<toy::graph&>(g), {.log = [&](log_level level, std::string_view line) {
        CHECK(level == log_level::warning);
        lines.emplace_back(line);
      }});
  CHECK(lines == std::vector<std::string>{
                     "batch_norm: batch norm not folded, not_finite (output channel 4)"});
  CHECK(report.records[0].layer == "conv2d");
  CHECK(report.folded() == 0);
  // A log that throws does so before the first edit.
  small_graph half(conv, true);
  half.outputs.push_back(batch_norm(half, half.x, parameters(half, "odd", 6, 50)));
  const toy::graph before = half;
  const auto stop = [](log_level, std::string_view) { throw toy::failure{}; };
  CHECK_THROWS_AS(fold_batch_norm(static_cast<toy::graph&>(half), {.log = stop}), toy::failure);
  CHECK(half.same_as(before));
  for (int i = 0; i <= static_cast<int>(fold_outcome::not_finite); ++i) {
    CHECK(name_of(static_cast<fold_outcome>(i)) != "unknown");
  }
}

TEST_CASE("fold_batch_norm: an adapter without the optional members keeps its batch norms") {
  plain_graph g;
  static_cast<toy::graph&>(g) = small_graph(conv, true);
  const toy::graph before = g;
  const batch_norm_report report = fold_batch_norm(g);
  REQUIRE(report.records.size() == 1);
  CHECK(report.records[0].outcome == fold_outcome::unsupported_by_adapter);
  CHECK(g.same_as(before));
}

TEST_CASE("fold_batch_norm: a plan touches nothing, a cycle is refused") {
  small_graph g(conv, false);
  const toy::graph before = g;
  CHECK(plan_batch_norm_folding(static_cast<const toy::graph&>(g)).folded() == 1);
  CHECK(g.same_as(before));
  g.maker(g.y).operands[0] = g.out;
  CHECK_ERROR(fold_batch_norm(static_cast<toy::graph&>(g)), invalid_graph, "cycle");
}

TEST_CASE("fold_batch_norm: an adapter that throws at any edit leaves the graph as it was") {
  const auto net = [] {
    toy::graph g;
    int x = g.input();
    for (int i = 0; i < 3; ++i) {
      const std::string name = "c" + std::to_string(i);
      std::vector<int> operands{x, g.state(name + ".weight", random_tensor({4, 4, 3, 3}, 1))};
      if (i == 1) operands.push_back(g.state(name + ".bias", random_tensor({4}, 5)));
      const int layer = g.op("conv2d", operands, name);
      x = batch_norm(g, layer, parameters(g, "bn" + std::to_string(i), 4, 10));
    }
    g.outputs = {x};
    return g;
  };
  toy::graph whole = net();
  CHECK(fold_batch_norm(whole).folded() == 3);
  // Weights, biases (two made, two set), three redirections, one erasure.
  REQUIRE(whole.edits == 3 + 1 + 4 + 3 + 1);
  for (int k = 0; k < whole.edits; ++k) {
    toy::graph g = net();
    const toy::graph before = g;
    g.fail_in = k;
    CHECK_THROWS_AS(fold_batch_norm(g), toy::failure);
    CHECK_MESSAGE(g.same_as(before), "edit " << k);
    CHECK(fold_batch_norm(g).folded() == 3);  // the adapter has recovered
    CHECK(g.count("batch_norm") == 0);
  }
}
