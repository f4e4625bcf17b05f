#include <doctest/doctest.h>
#include <algorithm>
#include <lutra/graph/presets.hpp>
#include <lutra/graph/weight_plan.hpp>

#include "toy_graph.hpp"

using namespace lutra;

namespace {
weight_choice choice_of(const toy::graph& g, const palettizer_config& c, const std::string& name) {
  for (const weight_choice& w : plan(g, c).weights) {
    if (w.name == name) return w;
  }
  FAIL("no weight " << name);
  return {};
}
struct weights_net : toy::graph {
  weights_net() {
    const int x = input();
    const int a = op("conv2d", {x, state("conv.weight"), state("conv.bias")}, "conv");
    const int b = op("conv_transpose2d", {a, state("up.weight")}, "up");
    const int t = shared_state({"fc.weight", "tied.w"});
    const int c = op("linear", {b, t}, "fc");
    const int d = op("linear", {c, t}, "tied");
    const int e = op("embedding", {state("table.kernel"), input(false)}, "table");
    outputs = {op("add", {op("mul", {d, state("gain")}), e})};
  }
};
}  // namespace

TEST_CASE("weight_plan: weights are chosen by role, everything else has a reason") {
  const toy::graph g = weights_net();
  const palettization_plan p = plan(g, palettizer_config{});
  CHECK(p.weights.size() == 6);
  for (const weight_choice& w : p.weights) {
    CHECK_FALSE(w.why.empty());
    CHECK(w.chosen == (w.name != "conv.bias" && w.name != "gain"));
  }
  CHECK(choice_of(g, {}, "gain").why == "no known op reads it as its weight");
  CHECK(choice_of(g, {}, "conv.weight").why == "op_state_spec 'weight' of global");
  // Its local name is unknown to the config: the role decides.
  CHECK(choice_of(g, {}, "table.kernel").chosen);
  CHECK(choice_of(g, {}, "fc.weight").node == 2);  // decided once, by the first op
}

TEST_CASE("weight_plan: local names, '*', off and only_for") {
  const toy::graph g = weights_net();
  palettizer_config c{.global_config = {.op_state_spec = {{"kernel", {.n_bits = 2}}, {"*", off}}}};
  CHECK(choice_of(g, c, "table.kernel").spec.n_bits == 2);
  CHECK(choice_of(g, c, "conv.weight").why == "off: op_state_spec '*' of global");
  c = {.global_config = {.op_state_spec = {{"kernel", {}}}}};
  CHECK(choice_of(g, c, "conv.weight").why == "off: no key names it (config entry global)");
  c = {.global_config = off};
  CHECK(choice_of(g, c, "conv.weight").why == "off: the whole config is off (config entry global)");
  c = palettizer_config{}.only_for({"conv2d", "linear"});
  CHECK(choice_of(g, c, "conv.weight").chosen);
  CHECK(choice_of(g, c, "fc.weight").chosen);
  CHECK(choice_of(g, c, "up.weight").why ==
        "off: only_for chose other op types (config entry global)");
  CHECK(choice_of(g, c, "up.weight").cause.why == reason::not_in_only_for);
  CHECK_FALSE(choice_of(g, c, "table.kernel").chosen);
  c = {.global_config = {.op_state_spec = off}};
  CHECK(choice_of(g, c, "up.weight").why == "off: the spec map is empty (config entry global)");
}

TEST_CASE("weight_plan: state names that decide nothing are reported") {
  const toy::graph g = weights_net();
  using notes = std::vector<std::string>;
  CHECK(plan(g, palettizer_config{}).notes.empty());
  // A preset says the same of both names that weights go by.
  palettizer_config preset = presets::p4a8().weights;
  CHECK(plan(g, preset).notes.empty());
  CHECK(plan(g, preset.only_for({"linear"})).notes.empty());
  const palettization_spec two{.n_bits = 2};
  CHECK(plan(g, palettizer_config{.global_config = {.op_state_spec = {{"weight", two},
                                                                      {"kernal", off}}}})
            .notes == notes{"config entry global, op_state_spec 'kernal' matches no tensor"});
  CHECK(
      plan(g, palettizer_config{.global_config = {.op_state_spec = {{"kernel", two}, {"*", two}}}})
          .notes.empty());
  CHECK(plan(g,
             palettizer_config{
                 .module_name_configs = {{"fc", {.module_state_spec = {{"gone", two}}}}}})
            .notes == notes{"config entry name 'fc', module_state_spec 'gone' matches no tensor"});
  CHECK(plan(g, palettizer_config{.global_config = {.op_type_config = {{"linear",
                                                                        {{{"wieght", two}}}}}}})
            .notes ==
        notes{"config entry global, op type 'linear', op_state_spec 'wieght' matches no tensor"});
}

TEST_CASE("weight_plan: module_state_spec of the owner decides, also for other roles") {
  const toy::graph g = weights_net();
  const palettizer_config c{
      .module_name_configs = {{"", {.module_state_spec = {{"gain", {.n_bits = 1}}}}},
                              {"fc", {.op_state_spec = {{"weight", {.n_bits = 3}}}}},
                              {"tied", {.module_state_spec = {{"w", {.n_bits = 6}}}}}}};
  CHECK(choice_of(g, c, "fc.weight").spec.n_bits == 6);
  CHECK(choice_of(g, c, "gain").spec.n_bits == 1);
}

TEST_CASE("weight_plan: grouped palettes follow the output channels of the op") {
  const toy::graph g = weights_net();
  const palettizer_config c{
      .global_config = {
          .op_state_spec = {{"weight", {.granularity = granularity::per_grouped_channel(2)}}}}};
  CHECK(choice_of(g, c, "conv.weight").spec.granularity.axis() == 0);
  CHECK(choice_of(g, c, "up.weight").spec.granularity.axis() == 1);
}

TEST_CASE("weight_plan: palettes, integers and entries without effect") {
  toy::graph g;
  const int x = g.input();
  const int w = g.state("int.weight");
  g.values.at(w).is_float = false;
  g.outputs = {g.op("linear", {g.op("linear", {x, g.packed()}), w})};
  const palettization_plan p = plan(g, palettizer_config{.module_name_configs = {{"none", {}}}});
  REQUIRE(p.weights.size() == 2);
  CHECK(p.weights[0].why == "already compressed");
  CHECK(p.weights[1].why == "not floating point");
  CHECK(p.notes == std::vector<std::string>{"config entry name 'none' matches no module"});
}

TEST_CASE("weight_plan: reasons are typed, and entries that had no say are on record") {
  const toy::graph g = weights_net();
  const palettization_spec two{.n_bits = 2};
  const palettizer_config c{
      .module_name_configs = {{"fc", {.op_state_spec = {{"weight", two}}}},
                              {"tied", {.op_state_spec = {{"tied_w", two}, {"w", off}}}},
                              {"conv", {.module_state_spec = {{"bias", two}, {"weight", off}}}}}};
  const palettization_plan p = plan(g, c);
  const auto of = [&](const std::string& name) -> const weight_choice& {
    return *std::find_if(p.weights.begin(), p.weights.end(),
                         [&](const weight_choice& w) { return w.name == name; });
  };
  for (const weight_choice& w : p.weights) {
    CHECK(w.cause.why != reason::none);
    CHECK(w.cause.on == w.chosen);
    CHECK(p.describe(w.cause) == w.why);
  }
  CHECK(of("fc.weight").cause.why == reason::own_config);
  CHECK(of("fc.weight").why ==
        "op_state_spec 'weight' of name 'fc'; overridden: config entry op_state_spec 'w' of name "
        "'tied'");
  CHECK(of("conv.bias").cause.why == reason::module_state);
  CHECK(of("conv.bias").chosen);
  CHECK(of("conv.weight").cause.why == reason::module_state);
  CHECK(of("conv.weight").why ==
        "off: module_state_spec 'weight' of name 'conv'; overridden: config entry op_state_spec "
        "'weight' of name 'conv'");
  CHECK(of("gain").cause.why == reason::not_a_weight);
  CHECK(of("up.weight").cause.overridden == -1);
  // 'w' lost and is not called unused; 'tied_w' is nobody's name.
  CHECK(p.notes == std::vector<std::string>{
                       "config entry name 'tied', op_state_spec 'tied_w' matches no tensor"});
}
