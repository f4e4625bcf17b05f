#include <doctest/doctest.h>
#include <lutra/graph/check_config.hpp>
#include <lutra/graph/presets.hpp>

using namespace lutra;

TEST_CASE("presets: palettes of weights") {
  const palettizer_config c = presets::w4();
  const auto& map = c.global_config.op_state_spec;
  REQUIRE(map.size() == 2);
  for (const auto& e : map) {
    CHECK(e.value ==
          palettization_spec{.n_bits = 4, .granularity = granularity::per_grouped_channel(16)});
  }
  CHECK(map.find("in_proj_weight") != nullptr);
  CHECK(presets::w6(8, 1).global_config.op_state_spec[0].value.n_bits == 6);
  CHECK(presets::w6(8, 1).global_config.op_state_spec[0].value.granularity ==
        granularity::per_grouped_channel(8, 1));
  CHECK(presets::w8().global_config.op_state_spec[0].value == palettization_spec{.n_bits = 8});
}

TEST_CASE("presets: affine weights leave activations alone") {
  for (const quantizer_config& c :
       {presets::affine_w8(), presets::affine_w4(), presets::w4_per_block()}) {
    CHECK(c.global_config.op_input_spec.empty());
    CHECK(c.global_config.op_output_spec.empty());
    CHECK(c.global_config.op_state_spec.find("weight")->value.granularity.needs_axis());
  }
  CHECK(presets::w4_per_block(64).global_config.op_state_spec[0].value.granularity ==
        granularity::per_block(64));
}

TEST_CASE("presets: activations") {
  CHECK(presets::w8a8().global_config.op_input_spec == op_config{}.op_input_spec);
  CHECK(presets::w8a8().global_config.op_state_spec.size() == 1);
  CHECK(presets::a8().global_config.op_state_spec.empty());
  const joint_config joint = presets::p4a8();
  CHECK(joint.activations == presets::a8());
  CHECK(joint.weights.global_config.op_state_spec[0].value.lut_qspec ==
        int8_symmetric_with_clipping);
}

TEST_CASE("presets: every one passes the checks") {
  for (const palettizer_config& c :
       {presets::w4(), presets::w6(), presets::w8(), presets::p4a8().weights}) {
    CHECK_NOTHROW(check(c));
  }
  for (const quantizer_config& c : {presets::affine_w8(), presets::affine_w4(),
                                    presets::w4_per_block(), presets::w8a8(), presets::a8()}) {
    CHECK_NOTHROW(check(c));
  }
}
