#include <doctest/doctest.h>
#include <lutra/graph/config_json.hpp>
#include <lutra/graph/presets.hpp>

using namespace lutra;

namespace {
template <class F> error json_error(F&& f) {
  try {
    f();
  } catch (const error& e) {
    return e;
  }
  FAIL("no error");
  return {errc::io_error, "", "", "", ""};
}
}  // namespace

TEST_CASE("config_json: what was written reads back equal") {
  quantizer_config q = presets::w8a8();
  q.without({"add"})
      .set_module_type("nn.Linear", {.op_input_spec = {{1, off}, {"*", int8_symmetric}},
                                     .op_name_config = {{"fc.*", off}},
                                     .module_input_spec = {{0, int8_symmetric}},
                                     .qat_schedule = lutra::qat_schedule{1, 2, 9}})
      .set_module_name("head", off);
  for (const quantizer_config& c :
       {q, quantizer_config{}, presets::w4_per_block(16, 1), presets::a8()}) {
    CHECK(read_quantizer_config(write_config(c)) == c);
    CHECK(read_quantizer_config(write_config(c, -1)) == c);
  }
  palettizer_config p = presets::p4a8(granularity::per_grouped_channel(2)).weights;
  p.only_for({"conv2d", "linear"}).set_module_name("a.b", {.op_state_spec = {{"w", off}}});
  for (const palettizer_config& c : {p, palettizer_config{}, presets::w6(8, 1)}) {
    CHECK(read_palettizer_config(write_config(c)) == c);
  }
}

TEST_CASE("config_json: a joint document holds both configs") {
  joint_config joint = presets::p4a8(granularity::per_grouped_channel(2));
  joint.weights.only_for({"conv2d", "linear"});
  joint.activations.set_module_name("head", off);
  for (const joint_config& c : {joint, joint_config{}}) {
    CHECK(read_joint_config(write_config(c)) == c);
    CHECK(read_joint_config(write_config(c, -1)) == c);
  }
  const joint_config c = read_joint_config(R"({
    "palettization_spec": {"anchor": 1}, "quantization_spec": null,
    "kmeans_palettization_config": {"global_config": {"op_state_spec": {"weight": {
       "n_bits": 4, "lut_qspec": {"dtype": "int8", "qscheme": "symmetric"}}}}},
    "quantization_config": {"global_config": {"op_state_spec": null}}})");
  CHECK(c.weights.global_config.op_state_spec.size() == 1);
  CHECK(c.weights.global_config.op_state_spec[0].value.lut_qspec == int8_symmetric);
  CHECK(c.activations == presets::a8());
}

TEST_CASE("config_json: joint documents name what is missing, unknown, wrong or there twice") {
  const auto joint_error = [](const char* text) {
    return json_error([&] { read_joint_config(text); });
  };
  CHECK(joint_error(R"({"quantization_config": {}})").where() == "kmeans_palettization_config");
  CHECK(joint_error(R"({"kmeans_palettization_config": {}})").allowed() ==
        "an object with the key 'quantization_config'");
  CHECK(joint_error("[]").problem() == "the document holds no config");
  const error unknown = joint_error(
      R"({"kmeans_palettization_config": {}, "quantization_config": {}, "palettization_spce": {}})");
  CHECK(unknown.value() == "'palettization_spce'");
  CHECK(unknown.allowed().find("did you mean 'palettization_spec'?") != std::string::npos);
  CHECK(joint_error(R"({"kmeans_palettization_config": {}, "quantization_config": 1})").where() ==
        "quantization_config");
  const error inner = joint_error(
      R"({"quantization_config": {}, "kmeans_palettization_config": {"global_confg": {}}})");
  CHECK(inner.where() == "kmeans_palettization_config");
  CHECK(inner.allowed().find("did you mean 'global_config'?") != std::string::npos);
  const error twice = joint_error(
      R"({"kmeans_palettization_config": {}, "quantization_config": {"global_config":
          {"op_input_spec": {"*": {"dtype": "int8", "dtype": "int4"}}}}})");
  CHECK(twice.problem() == "a key occurs twice");
  CHECK(twice.where() == "quantization_config.global_config.op_input_spec['*']");
  CHECK(twice.value() == "'dtype'");
  // A document of both is none of one: what is beside would be dropped.
  CHECK(json_error([] { read_quantizer_config(write_config(joint_config{})); }).value() ==
        "'kmeans_palettization_config'");
}

TEST_CASE("config_json: names that are no UTF-8 are written with U+FFFD") {
  const auto text = write_config(quantizer_config{}.set_module_name("a\xff", off));
  CHECK(text.find("\"a\xEF\xBF\xBD\"") != std::string::npos);
  CHECK_FALSE(write_config(palettizer_config{}.set_module_name("a\xff", off)).empty());
}

TEST_CASE("config_json: a document as the reference writes it") {
  const quantizer_config c = read_quantizer_config(R"({
    "quantization_spec": {"anchors": [1, {"any": "thing"}]},
    "quantization_config": {
      "execution_mode": "graph",
      "global_config": {
        "op_state_spec": null,
        "op_input_spec": {"*": {"dtype": "int8", "qscheme": "symmetric",
          "granularity": {"type": "per_tensor"}, "fake_quantize_cls": "default",
          "qparam_calculator_cls": "moving_average", "range_calculator_cls": "minmax"}}},
      "module_name_configs": {"features\\.0": null}}})");
  CHECK(c.global_config.op_state_spec.empty());
  CHECK(c.global_config.op_input_spec.find("*")->value.qparam_calculator == "moving_average");
  CHECK(c.global_config.op_output_spec == module_config{}.op_output_spec);
  CHECK_FALSE(c.module_name_configs.find("features\\.0")->value.enabled);
  CHECK(read_quantizer_config(R"({"quantization_config": {}})") == quantizer_config{});
  CHECK_FALSE(read_quantizer_config(R"({"quantization_config": {"global_config": null}})")
                  .global_config.enabled);
}

TEST_CASE("config_json: documents that are none") {
  for (const char* text : {"[]", "3", "{}", R"({"kmeans_palettization_config": {}})"}) {
    const error e = json_error([&] { read_quantizer_config(text); });
    CHECK(e.problem() == "the document holds no config");
    CHECK(e.allowed() == "an object with the key 'quantization_config'");
  }
  CHECK(json_error([] { read_quantizer_config(R"({"quantization_config": null})"); }).value() ==
        "null");
  const error e = json_error(
      [] { read_quantizer_config(R"({"quantization_config": {}, "quantisation_spec": {}})"); });
  CHECK(e.allowed().find("did you mean 'quantization_spec'?") != std::string::npos);
  CHECK(json_error([] { read_quantizer_config("{"); }).problem() == "the text is not JSON");
}

TEST_CASE("config_json: the rules of configs hold for documents too") {
  const error e = json_error([] {
    read_quantizer_config(
        R"({"quantization_config": {"module_name_configs": {"a": {"op_input_spec": {"x": {}}}}}})");
  });
  CHECK(e.code() == errc::unsupported);
  CHECK(e.value() == "'x'");
  CHECK(json_error([] {
          read_quantizer_config(
              R"({"quantization_config": {"module_type_configs": {"a.B":
                 {"qat_schedule": {"enable_observer": 3}}}}})");
        }).where() == "quantizer_config.module_type_configs[a.B].qat_schedule");
  CHECK(json_error([] {
          read_palettizer_config(
              R"({"kmeans_palettization_config": {"global_config": {"op_state_spec":
                 {"weight": {"n_bits": 9}}}}})");
        }).problem() == "n_bits out of range");
}
