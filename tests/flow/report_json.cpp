#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/report_json.hpp>

#include "nets.hpp"

using namespace lutra;

TEST_CASE("report_json: every record of a report, read back") {
  toy::graph g = small_net();
  kmeans_palettizer p(g, {.global_config = {.op_state_spec = {{"weight", {.n_bits = 2}}}}});
  p.prepare();
  compression_report r = p.finalize();
  activation_record a;
  a.name = "relu";
  a.values = {"relu", "pool"};
  a.reasons = {{reason::own_config, "asked for"}, {reason::shared_range, "shared"}};
  a.dtype = dtype::uint8;
  a.scale = {0.5F};
  a.zero_point = {3};
  a.samples = 64;
  a.extents = shape{2, 8};
  a.signal = 100;
  a.error = 1;
  a.measured = 16;
  r.activations.push_back(a);
  a.measured = 0;
  r.activations.push_back(a);
  r.left_float.push_back({"linear", reason::inside_pattern, "because"});
  const json_value j = parse_json(json_of(r).dump(), "report");
  REQUIRE(j["weights"].size() == r.weights.size());
  for (std::size_t i = 0; i < r.weights.size(); ++i) {
    const weight_record& w = r.weights[i];
    const json_value& k = j["weights"][i];
    CHECK(k["name"] == w.name);
    CHECK(k["status"] == std::string(name_of(w.status)));
    CHECK(k["bytes_after"] == w.bytes_after);
    CHECK(k["why"] == std::string(name_of(w.why)));
    CHECK(k["why"] != "none");
    CHECK(k["reason"] == w.reason);
    CHECK_FALSE(w.reason.empty());
    CHECK(k.contains("sqnr_db") == (w.status == tensor_status::compressed));
    if (w.status == tensor_status::compressed) {
      CHECK(k["sqnr_db"].get<double>() == w.sqnr_db());
      CHECK(k["shape"][0] == w.extents[0]);
      CHECK(k["form"] == "2-bit palette");
    }
  }
  CHECK(j["activations"][0]["scale"][0] == 0.5);
  CHECK(j["activations"][0]["values"].size() == 2);
  CHECK(j["activations"][0]["reasons"][1]["why"] == "shared_range");
  CHECK(j["activations"][0]["reasons"][0]["reason"] == "asked for");
  CHECK(j["activations"][0]["dtype"] == "uint8");
  CHECK(j["activations"][0]["granularity"] == text_of(granularity::per_tensor()));
  CHECK(j["activations"][0]["sqnr_db"].get<double>() == doctest::Approx(20.0));
  CHECK(j["activations"][0]["bytes_before"] == 64);
  CHECK(j["activations"][0]["bytes_after"] == 16);
  CHECK(j["activations"][1]["sqnr_db"].is_null());  // not measured
  CHECK(j["left_float"][0]["why"] == "inside_pattern");
  CHECK(j["left_float"][0]["reason"] == "because");
}

TEST_CASE("report_json: an exact weight has no SQNR") {
  compression_report r;
  weight_record w;
  w.status = tensor_status::compressed;
  r.weights.push_back(w);
  CHECK(json_of(r)["weights"][0]["sqnr_db"].is_null());
}

TEST_CASE("report_json: inspections, with decisions where there is a plan") {
  const toy::graph g = small_net();
  const json_value plain = json_of(inspect(g));
  const json_value planned = json_of(inspect(plan(g)));
  REQUIRE(plain["modules"].size() == planned["modules"].size());
  std::size_t ops = 0;
  for (const json_value& m : planned["modules"]) {
    for (const json_value& o : m["ops"]) {
      ++ops;
      for (const json_value& v : o["inputs"]) CHECK(v.contains("decision"));
    }
  }
  CHECK(ops == 5);
  CHECK_FALSE(plain["modules"][0].dump().find("decision") != std::string::npos);
}
