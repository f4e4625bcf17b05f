#include <doctest/doctest.h>
#include <lutra/graph/json/writer.hpp>

using namespace lutra;

TEST_CASE("writer: off is null, maps keep their order, absent members are null") {
  CHECK(json_writer::write(quantization_spec(off)).is_null());
  const named_map<op_config> ops{{"mul", {}}, {"add", off}};
  const json_value j = json_writer::write(ops);
  CHECK(j.begin().key() == "mul");
  CHECK(j["add"].is_null());
  CHECK(json_writer::write(module_config{})["qat_schedule"].is_null());
}

TEST_CASE("writer: floats as their shortest decimal form") {
  CHECK(json_writer::write(0.01F).dump() == "0.01");
  CHECK(json_writer::write(1.0F).dump() == "1.0");
  CHECK(json_writer::write(0x1.fffffep127F).dump() == "3.4028235e+38");
}

TEST_CASE("writer: every granularity") {
  const auto text = [](const granularity& g) { return json_writer::write(g).dump(); };
  CHECK(text(granularity::per_tensor()) == R"({"type":"per_tensor"})");
  CHECK(text(granularity::per_channel()) == R"({"type":"per_channel","axis":null})");
  CHECK(text(granularity::per_channel(-1)) == R"({"type":"per_channel","axis":-1})");
  CHECK(text(granularity::per_block(32, 1)) == R"({"type":"per_block","block_size":32,"axis":1})");
  CHECK(text(granularity::per_block({1, -1, 4})) ==
        R"({"type":"per_block","block_size":[1,-1,4]})");
  CHECK(text(granularity::per_grouped_channel(16)) ==
        R"({"type":"per_grouped_channel","group_size":16,"axis":null})");
}

TEST_CASE("writer: operand keys") {
  const json_value j = json_writer::write(spec_map{{0, int8_symmetric}, {"*", off}});
  REQUIRE(j.size() == 2);
  CHECK(j.contains("0"));
  CHECK(j["*"].is_null());
  CHECK(j["0"]["float_range"].dump() == "[null,null]");
}
