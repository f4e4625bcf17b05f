#include <doctest/doctest.h>
#include <lutra/graph/config.hpp>

using namespace lutra;

TEST_CASE("config: operand keys are positions, '*' or refused names") {
  CHECK(operand_key("*").any());
  CHECK(operand_key("12").is_position());
  CHECK(operand_key("12").position() == 12);
  CHECK(operand_key(3) == operand_key("3"));
  for (const char* name : {"x", "", "1x", "-1", "99999999"}) {
    CHECK_FALSE(operand_key(name).any());
    CHECK_FALSE(operand_key(name).is_position());
  }
  CHECK(text_of(operand_key("x")) == "'x'");
  CHECK(text_of(operand_key(4)) == "4");
  CHECK(text_of(operand_key("*")) == "'*'");
}

TEST_CASE("config: maps keep their order and find the last entry of a key") {
  named_map<int> m{{"a", 1}, {"b", 2}, {"a", 3}};
  CHECK(m.size() == 3);
  CHECK(m.find("a")->value == 3);
  CHECK(m.find("c") == nullptr);
  m.set("b", 5).set("c", 6);
  CHECK(m.size() == 4);
  CHECK(m[1].value == 5);
  CHECK(m[3].key == "c");
}

TEST_CASE("config: defaults are the reference's") {
  const module_config m;
  REQUIRE(m.op_input_spec.find("*") != nullptr);
  CHECK(m.op_input_spec.find("*")->value == int8_symmetric);
  CHECK(m.op_output_spec.find("*")->value == int8_symmetric);
  REQUIRE(m.op_state_spec.find("weight") != nullptr);
  CHECK(m.op_state_spec.find("weight")->value.granularity == granularity::per_channel(0));
  CHECK(m.enabled);
  const palettizer_config p;
  CHECK(p.global_config.op_state_spec.find("weight")->value.n_bits == 4);
  CHECK(p.global_config.op_state_spec.find("in_proj_weight") != nullptr);
}

TEST_CASE("config: nested designated initialisers deduce, off is a value at every level") {
  const quantizer_config c{
      .global_config = {.op_state_spec = {},
                        .op_input_spec = {{"*", int8_symmetric}, {1, off}},
                        .op_output_spec = off,
                        .op_type_config = {{"add", off}, {"mul", {.op_input_spec = {}}}}},
      .module_type_configs = {{"nn.Linear", off}},
      .module_name_configs = {{"conv.*", {.op_state_spec = off}}}};
  CHECK(c.global_config.op_state_spec.empty());
  CHECK_FALSE(c.global_config.op_input_spec.find(1)->value.enabled);
  CHECK(c.global_config.op_output_spec.empty());
  CHECK_FALSE(c.global_config.op_type_config.find("add")->value.enabled);
  CHECK(c.global_config.op_type_config.find("mul")->value.op_output_spec.size() == 1);
  CHECK_FALSE(c.module_type_configs.find("nn.Linear")->value.enabled);
  CHECK(c.module_name_configs.find("conv.*")->value.op_input_spec.size() == 1);
  CHECK(c == c);
  CHECK_FALSE(c == quantizer_config{});
}

TEST_CASE("config: only_for restricts the palettizer to op types") {
  palettizer_config c{.global_config = {.op_state_spec = {{"weight", {.n_bits = 2}}}}};
  c.only_for({"conv2d", "linear"});
  CHECK(c.global_config.op_state_spec.empty());
  CHECK(c.global_config.op_type_config.size() == 2);
  CHECK(c.global_config.op_type_config.find("linear")
            ->value.op_state_spec.find("weight")
            ->value.n_bits == 2);
  const palettizer_config before = c;
  try {
    c.only_for({"conv2d"});
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.code() == errc::invalid_argument);
    CHECK(c == before);
  }
  CHECK_THROWS_AS(palettizer_config{}.only_for({}), error);
}

TEST_CASE("config: only_for drops what was said of other op types, not of its own") {
  quantizer_config c;
  c.set_op_type("add", {})
      .set_op_type("conv2d", {.op_output_spec = off})
      .only_for({"conv2d", "linear"});
  CHECK(c.global_config.op_type_config.size() == 2);
  CHECK(c.global_config.op_type_config.find("add") == nullptr);
  CHECK(c.global_config.op_type_config.find("conv2d")->value.op_output_spec.empty());
  CHECK(c.global_config.op_type_config.find("linear")->value == op_config{});
}

TEST_CASE("config: only_for and without work on quantizers too, edits chain") {
  quantizer_config c;
  c.only_for({"conv2d"})
      .without({"conv2d_relu", "linear"})
      .set_op_type("add", {.op_input_spec = off})
      .set_op_name("fc.*", off)
      .set_module_type("nn.Linear", off)
      .set_module_name("head", {})
      .set_module_name("head", off);
  CHECK(c.global_config.op_maps().empty());
  CHECK(c.global_config.op_type_config.find("conv2d")->value == op_config{});
  CHECK_FALSE(c.global_config.op_type_config.find("linear")->value.enabled);
  CHECK(c.global_config.op_type_config.find("add")->value.op_input_spec.empty());
  CHECK_FALSE(c.global_config.op_name_config.find("fc.*")->value.enabled);
  CHECK(c.module_name_configs.size() == 1);
  CHECK_FALSE(c.module_name_configs[0].value.enabled);
  c.set_module_name("tail", {}).without({"mul"});
  CHECK_FALSE(c.module_name_configs.find("tail")->value.op_type_config.find("mul")->value.enabled);
  CHECK(c.module_type_configs.find("nn.Linear")->value.op_type_config.empty());  // off anyway
  CHECK_THROWS_AS(c.only_for({"add"}), error);
  CHECK(c.set_global({}).global_config == module_config{});
  quantizer_config disabled{.global_config = off};
  CHECK_THROWS_AS(disabled.only_for({"add"}), error);
}
