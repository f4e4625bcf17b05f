#include <doctest/doctest.h>
#include <lutra/graph/json/reader.hpp>
#include <lutra/graph/json/writer.hpp>

using namespace lutra;

namespace {
template <class T> T read_as(const std::string& text, const log_sink& log = {}) {
  T value{};
  json_reader::root("root", log).read(parse_json(text, "root"), value);
  return value;
}
template <class T> error error_of(const std::string& text) {
  try {
    read_as<T>(text);
  } catch (const error& e) {
    return e;
  }
  FAIL("no error for " << text);
  return {errc::io_error, "", "", "", ""};
}
}  // namespace

TEST_CASE("reader: what is left out keeps its default, null is off") {
  CHECK(read_as<quantization_spec>("{}") == quantization_spec{});
  CHECK_FALSE(read_as<quantization_spec>("null").enabled);
  const auto m =
      read_as<module_config>(R"({"op_state_spec": null, "op_type_config": {"add": null}})");
  CHECK(m.op_state_spec.empty());
  CHECK(m.op_input_spec == module_config{}.op_input_spec);
  CHECK_FALSE(m.op_type_config.find("add")->value.enabled);
}

TEST_CASE("reader: a table spec switches itself on") {
  CHECK_FALSE(read_as<palettization_spec>("{}").lut_qspec.enabled);
  const auto s = read_as<palettization_spec>(R"({"lut_qspec": {"dtype": "uint8"}})");
  CHECK(s.lut_qspec.enabled);
  CHECK(s.lut_qspec.dtype == dtype::uint8);
}

TEST_CASE("reader: every granularity, there and back") {
  for (const granularity& g :
       {granularity::per_tensor(), granularity::per_channel(), granularity::per_channel(-2),
        granularity::per_block(16), granularity::per_block(16, 0), granularity::per_block({-1, 4}),
        granularity::per_grouped_channel(7, 1)}) {
    CHECK(read_as<granularity>(json_writer::write(g).dump()) == g);
  }
  // An axis where there is none.
  CHECK(read_as<granularity>(R"({"type": "per_tensor", "axis": null})") ==
        granularity::per_tensor());
  CHECK(read_as<granularity>(R"({"type": "per_block", "block_size": [-1, 4], "axis": null})") ==
        granularity::per_block({-1, 4}));
}

TEST_CASE("reader: scale rules, there and back") {
  const auto s =
      read_as<quantization_spec>(R"({"dtype": "float4_e2m1fn", "scale_rules": {"e8m0": "even"}})");
  CHECK(s.scale_rules.e8m0 == e8m0_rule::even);
  for (const e8m0_rule e : {e8m0_rule::floor, e8m0_rule::ceil, e8m0_rule::even, e8m0_rule::up}) {
    const scale_rules r{e, true, scale_floor::relative, dtype::bfloat16};
    CHECK(read_as<scale_rules>(json_writer::write(r).dump()) == r);
  }
  CHECK(error_of<quantization_spec>(R"({"scale_rules": {"floor": "relativ"}})").where() ==
        "root.scale_rules.floor");
}

TEST_CASE("reader: names, ranges and observers' keys") {
  const auto s = read_as<quantization_spec>(
      R"({"dtype": "float8_e4m3", "float_range": [-1, null], "qparam_calculator_cls": "mine",
          "averaging_constant": 0.12345678901, "short_groups": "allow"})");
  CHECK(s.dtype == dtype::float8_e4m3fn);
  CHECK(s.float_range.lo == -1.0F);
  CHECK_FALSE(s.float_range.hi);
  CHECK(s.qparam_calculator == "mine");
  CHECK(s.averaging_constant == 0.12345678901);
  CHECK(s.short_groups == short_groups::allow);
  CHECK(s == read_as<quantization_spec>(json_writer::write(s).dump()));
}

TEST_CASE("reader: errors name the path, the value and what is allowed") {
  struct wrong {
    const char* text;
    const char* where;
    const char* value;
    const char* allowed;  // part of it
  };
  for (const wrong& w : {
           wrong{R"({"n_bit": 4})", "root", "'n_bit'", "did you mean 'n_bits'?"},
           {R"({"n_bits": 4.5})", "root.n_bits", "4.5", "an integer"},
           {R"({"n_bits": 5000000000})", "root.n_bits", "5000000000", "32-bit"},
           {R"({"n_bits": 18446744073709551615})", "root.n_bits", "18446744073709551615", "64-bit"},
           {R"({"n_bits": "4"})", "root.n_bits", "\"4\"", "an integer"},
           {R"({"enable_per_channel_scale": 1})", "root.enable_per_channel_scale", "1", "true"},
           {R"({"lut_qspec": []})", "root.lut_qspec", "[]", "an object"},
           {R"({"lut_qspec": {"dtype": "itn8"}})", "root.lut_qspec.dtype", "'itn8'", "int8"},
           {R"({"lut_qspec": {"qscheme": "Symmetric"}})", "root.lut_qspec.qscheme", "'Symmetric'",
            "did you mean 'symmetric'?"},
           {R"({"lut_qspec": {"float_range": [0]}})", "root.lut_qspec.float_range", "[0]", "null"},
           {R"({"lut_qspec": {"float_range": [true, 1]}})", "root.lut_qspec.float_range[0]", "true",
            "a number"},
           {R"({"granularity": "per_tensor"})", "root.granularity", "\"per_tensor\"", "'type'"},
           {R"({"granularity": {"type": "per_chanel"}})", "root.granularity.type", "'per_chanel'",
            "did you mean 'per_channel'?"},
           {R"({"granularity": {"type": "per_tensor", "axis": 0}})", "root.granularity.axis", "0",
            "null, or absent"},
           {R"({"granularity": {"type": "per_tensor", "axis": "0"}})", "root.granularity.axis",
            "\"0\"", "an integer"},
           {R"({"granularity": {"type": "per_tensor", "axes": null}})", "root.granularity",
            "'axes'", "did you mean 'axis'?"},
           {R"({"granularity": {"type": "per_grouped_channel"}})", "root.granularity", "none",
            "group_size"},
           {R"({"granularity": {"type": "per_grouped_channel", "group_size": 0}})",
            "root.granularity.group_size", "0", ">= 1"},
           {R"({"granularity": {"type": "per_block"}})", "root.granularity", "none", "block_size"},
           {R"({"granularity": {"axis": 0}})", "root.granularity", R"({"axis":0})", "'type'"},
           {R"({"granularity": {"type": "per_block", "block_size": 0}})",
            "root.granularity.block_size", "0", ">= 1"},
           {R"({"granularity": {"type": "per_block", "block_size": [1, -2]}})",
            "root.granularity.block_size[1]", "-2", ">= 1, or -1"},
           {R"({"granularity": {"type": "per_block", "block_size": [1,1,1,1,1,1,1,1,1]}})",
            "root.granularity.block_size", "9", "at most 8"},
           {R"({"granularity": {"type": "per_block", "block_size": [1, 1], "axis": 0}})",
            "root.granularity.axis", "0", "absent"},
       }) {
    const error e = error_of<palettization_spec>(w.text);
    CAPTURE(w.text);
    CHECK(e.code() == errc::invalid_argument);
    CHECK(e.where() == w.where);
    CHECK(e.value() == w.value);
    CHECK(e.allowed().find(w.allowed) != std::string::npos);
  }
}

TEST_CASE(
    "reader: activations in a palettizer's document may be named if nothing is said of them") {
  for (const char* empty : {"null", "{}"}) {
    const std::string both =
        R"("op_input_spec": )" + std::string(empty) + R"(, "op_output_spec": )" + empty;
    read_as<palettizer_module_config>("{" + both + R"(, "op_type_config": {"linear": {)" + both +
                                      "}}}");
  }
  CHECK(error_of<palettizer_module_config>(R"({"op_input_spec": {"*": {}}})").allowed() ==
        "null, or empty");
  read_as<quantizer_config>(R"({"preserved_attributes": []})");
  CHECK(error_of<quantizer_config>(R"({"preserved_attributes": ["a"]})").code() ==
        errc::unsupported);
}

TEST_CASE("reader: digit keys are positions, two spellings of one are an error") {
  const auto map = read_as<spec_map>(R"({"1": {}, "*": null})");
  CHECK(map[0].key.position() == 1);
  CHECK(error_of<spec_map>(R"({"1": {}, "01": {}})").problem() == "a key occurs twice");
}

TEST_CASE("reader: foreign keys are noted, or refused when they ask for something else") {
  std::vector<std::string> notes;
  const log_sink log = [&](log_level, std::string_view text) { notes.emplace_back(text); };
  read_as<palettizer_module_config>(R"({"enable_fast_kmeans_mode": false})", log);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0] == "root.enable_fast_kmeans_mode has no effect: palettes are optimal either way");
  read_as<quantization_spec>(R"({"fake_quantize_cls": "default"})", log);
  CHECK(notes.size() == 1);
  const error e = error_of<quantization_spec>(R"({"range_calculator_cls": "mse"})");
  CHECK(e.code() == errc::unsupported);
  CHECK(e.where() == "root.range_calculator_cls");
}
