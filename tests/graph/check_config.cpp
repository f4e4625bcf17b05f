#include <doctest/doctest.h>
#include <lutra/graph/check_config.hpp>

using namespace lutra;

namespace {
template <class Config> error config_error(const Config& c) {
  try {
    check(c);
  } catch (const error& e) {
    return e;
  }
  FAIL("no error");
  return error(errc::io_error, "", "", "", "");
}
quantizer_config global(module_config m) { return {.global_config = std::move(m)}; }
}  // namespace

TEST_CASE("check_config: defaults pass") {
  check(quantizer_config{});
  check(palettizer_config{});
  check(global(off));
}

TEST_CASE("check_config: names and outputs that cannot be addressed") {
  error e = config_error(global({.op_input_spec = {{"x", int8_symmetric}}}));
  CHECK(e.code() == errc::unsupported);
  CHECK(e.value() == "'x'");
  CHECK(e.where() == "quantizer_config.global_config.op_input_spec");
  e = config_error(global({.op_output_spec = {{1, int8_symmetric}}}));
  CHECK(e.code() == errc::unsupported);
  CHECK(e.value() == "1");
  e = config_error(
      global({.op_type_config = {{"add", {.op_output_spec = {{"out", int8_symmetric}}}}}}));
  CHECK(e.where().find("op_type_config[add].op_output_spec") != std::string::npos);
  const quantizer_config module{
      .module_name_configs = {{"a", {.module_input_spec = {{"x", int8_symmetric}}}}}};
  CHECK(config_error(module).code() == errc::unsupported);
}

TEST_CASE("check_config: module specs in global, short type names, double keys, bad specs") {
  error e = config_error(global({.module_state_spec = {{"w", int8_symmetric}}}));
  CHECK(e.code() == errc::invalid_argument);
  CHECK(e.where() == "module_state_spec");
  e = config_error(quantizer_config{.module_type_configs = {{"Linear", off}}});
  CHECK(e.value() == "'Linear'");
  e = config_error(global({.op_input_spec = {{"1", int8_symmetric}, {1, off}}}));
  CHECK(e.problem() == "a key occurs twice");
  e = config_error(quantizer_config{.module_name_configs = {{"a", off}, {"a", off}}});
  CHECK(e.problem() == "a key occurs twice");
  quantization_spec bad;
  bad.averaging_constant = 2.0;
  e = config_error(global({.op_input_spec = {{"*", bad}}}));
  CHECK(e.value() == "2");
  CHECK(e.where() == "quantizer_config.global_config.op_input_spec['*']");
  bad.enabled = false;  // an entry that is off is not looked at
  check(global({.op_input_spec = {{"*", bad}}}));
  const palettizer_config p{.global_config = {.op_state_spec = {{"weight", {.n_bits = 9}}}}};
  CHECK(config_error(p).value() == "9");
  const palettizer_config q{.global_config = {.module_state_spec = {{"weight", {}}}}};
  CHECK(config_error(q).where() == "module_state_spec");
}

TEST_CASE("check_config: a config that is used names observers that are registered") {
  const quantization_spec wrong{.qparam_calculator = "histogram_mes"};
  const auto refused = [](const quantizer_config& c, const char* where) {
    check(c);  // may be registered later
    try {
      check_to_use(c);
      FAIL("no error");
    } catch (const error& e) {
      CHECK(e.code() == errc::invalid_argument);
      CHECK(e.where() == where);
      CHECK(e.value() == "'histogram_mes'");
      CHECK(e.allowed().ends_with("did you mean 'histogram_mse'?"));
    }
  };
  refused(global({.op_input_spec = {{"*", wrong}}}),
          "quantizer_config.global_config.op_input_spec['*'].qparam_calculator");
  refused(global({.op_name_config = {{"x", {.op_output_spec = {{0, wrong}}}}}}),
          "quantizer_config.global_config.op_name_config[x].op_output_spec[0].qparam_calculator");
  refused({.module_name_configs = {{"no such module", {.module_state_spec = {{"w", wrong}}}}}},
          "quantizer_config.module_name_configs[no such "
          "module].module_state_spec['w'].qparam_calculator");
  quantization_spec unused = wrong;
  unused.enabled = false;
  check_to_use(global({.op_input_spec = {{"*", unused}}}));
  check_to_use(quantizer_config{});
  observer_keys::instance().add("registered by this test");
  check_to_use(
      global({.op_input_spec = {
                  {"*", quantization_spec{.qparam_calculator = "registered by this test"}}}}));
}
