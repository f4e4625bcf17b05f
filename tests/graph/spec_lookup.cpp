#include <doctest/doctest.h>
#include <lutra/graph/index.hpp>
#include <lutra/graph/spec_lookup.hpp>

#include "toy_graph.hpp"

using namespace lutra;

namespace {
// linear(x, w, b), asked for with one global config.
struct asked {
  toy::graph g;
  graph_index index;
  quantizer_config config;
  config_resolver<quantizer_config> configs;
  spec_lookup specs;
  config_resolver<quantizer_config>::choice choice;

  explicit asked(quantizer_config c, std::vector<std::string> weight_names = {"fc.weight"})
      : g(net(std::move(weight_names))),
        index(index_of(g).index),
        config(std::move(c)),
        configs(config, index),
        specs(index, configs),
        choice(configs.of(0)) {}
  static toy::graph net(std::vector<std::string> weight_names) {
    toy::graph g;
    const int x = g.input();
    g.outputs = {g.op("linear", {x, g.shared_state(std::move(weight_names)), g.state("fc.bias")})};
    return g;
  }
  spec_answer input(index_t i) {
    return specs.by_position(choice, spec_lookup::input_map(choice), i);
  }
  spec_answer state(int slot, bool weight) {
    return specs.by_name(choice, index.operands[0][to_size(slot)], weight);
  }
};
quantization_spec four_bits() {
  quantization_spec s;
  s.dtype = dtype::int4;
  return s;
}
}  // namespace

TEST_CASE("spec_lookup: an exact position before '*', also if it is off") {
  asked a({.global_config = {.op_input_spec = {{0, off}, {"*", four_bits()}}}});
  CHECK(a.input(0).spec == nullptr);
  CHECK(a.input(0).why == reason::off_by_config);
  CHECK(a.input(0).explicit_key);
  REQUIRE(a.input(1).spec != nullptr);
  CHECK(*a.input(1).spec == four_bits());
  CHECK_FALSE(a.input(1).explicit_key);
  CHECK(a.configs.used(&a.config.global_config.op_input_spec[0]));
}

TEST_CASE("spec_lookup: what is missing has a reason") {
  CHECK(asked({.global_config = {.op_input_spec = off}}).input(0).why == reason::group_off);
  CHECK(asked({.global_config = {.op_input_spec = {{3, four_bits()}}}}).input(0).why ==
        reason::no_matching_key);
  CHECK(asked({.global_config = off}).input(0).why == reason::config_off);
  CHECK(asked(quantizer_config{}.only_for({"conv2d"})).input(0).why == reason::not_in_only_for);
}

TEST_CASE("spec_lookup: states by any of their local names, without one by their role") {
  const quantizer_config c{.global_config = {.op_state_spec = {{"weight", four_bits()}}}};
  CHECK(asked(c, {"fc.weight"}).state(1, true).spec != nullptr);
  CHECK(asked(c, {"fc.kernel", "tied.weight"}).state(1, true).spec != nullptr);
  CHECK(asked(c, {"fc.kernel"}).state(1, true).why == reason::no_matching_key);
  CHECK(asked(c, {}).state(1, true).spec != nullptr);
  CHECK(asked(c, {}).state(1, false).spec == nullptr);
  CHECK(asked(c).state(2, false).why == reason::no_matching_key);
}
