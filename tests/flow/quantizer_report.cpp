#include <algorithm>
#include <cmath>
#include <lutra/flow/quantizer.hpp>
#include <lutra/flow/quantizer_report.hpp>
#include <lutra/graph/plan.hpp>

#include "nets.hpp"

using namespace lutra;

// What is said of every weight of toy::graph that is quantized.
const std::string floats_stay = "; the floats stay, the adapter has no emit_affine_constant";

TEST_CASE("quantizer_report: figures of affine weights against sums in double") {
  const small_net net;
  const toy::graph& g = net;
  const auto indexed = index_of(g);
  quantization_spec w4 = int8_symmetric;
  w4.dtype = dtype::int4;
  w4.qscheme = qscheme::asymmetric;
  const quantization_plan p = plan(
      g, {.global_config = {
              .op_state_spec = {{"weight", w4}}, .op_input_spec = off, .op_output_spec = off}});
  std::vector<fake_quantizer> fakes;
  for (const plan_group& group : p.groups) {
    fakes.emplace_back(p.settings[to_size(group.settings)].spec, target::weight);
  }
  REQUIRE(fakes.size() == 2);
  const tensor<float>& w = net.values.at(net.w1).data;
  fakes[0].observe(lutra::view(w));
  const compression_report r =
      quantizer_reporter<toy::graph>(g, indexed.values, p, fakes, final_parameters::from(fakes, p))
          .run();
  REQUIRE(r.weights.size() == 3);
  const weight_record& first = r.weights[0];
  CHECK(first.name == "fc1.weight");
  CHECK(first.n_bits == 4);
  CHECK(first.bytes_before == 120);
  CHECK(first.bytes_after == 4 + 1 + 120);  // scale, zero point; this adapter keeps the floats
  const qparams q = fakes[0].params();
  double error = 0;
  for (const float x : w.elements()) {
    const float scaled = std::nearbyint(x / q.scale[0]) + static_cast<float>(q.zero_point[0]);
    const float code = std::min(std::max(scaled, q.quant_min), q.quant_max);
    const double back =
        static_cast<double>((code - static_cast<float>(q.zero_point[0])) * q.scale[0]);
    error += (static_cast<double>(x) - back) * (static_cast<double>(x) - back);
  }
  CHECK(first.error == doctest::Approx(error));
  CHECK(first.why == reason::own_config);
  CHECK(first.reason == "quantized by its config (config entry global)" + floats_stay);
  CHECK(first.form == "int4 " + text_of(w4.granularity));
  CHECK(r.weights[1].why == reason::no_matching_key);
  CHECK(r.weights[2].why == reason::no_data);
  CHECK(r.weights[1].reason.find("no key") != std::string::npos);
  CHECK(r.weights[2].status == tensor_status::left_dense);
  CHECK(r.weights[2].reason == "no data was observed");
  CHECK(r.left_float.size() == 6);
  for (const float_record& f : r.left_float) CHECK_FALSE(f.reason.empty());
}

TEST_CASE(
    "quantizer_report: activations: dtype, extents, SQNR of the calibration data, a reason each") {
  toy::graph g = small_net();
  quantizer q(g);
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0), batch(1)});
  const compression_report r = q.finalize();
  REQUIRE(r.activations.size() == 3);
  const activation_record& input = r.activations[0];
  CHECK(input.dtype == dtype::int8);
  CHECK(input.extents == shape{3, 5});
  CHECK(input.measured == 30);
  double signal = 0, error = 0;
  for (const std::uint64_t seed : {0U, 1U}) {
    const tensor<float> data = batch(seed);
    for (const float x : data.elements()) {
      const float code = std::clamp(std::nearbyint(x / input.scale[0]), -128.0F, 127.0F);
      const double d = static_cast<double>(x) - static_cast<double>(code * input.scale[0]);
      signal += static_cast<double>(x) * static_cast<double>(x);
      error += d * d;
    }
  }
  CHECK(input.sqnr_db() == doctest::Approx(10 * std::log10(signal / error)).epsilon(1e-6));
  for (const activation_record& a : r.activations) {
    CHECK(std::isfinite(a.sqnr_db()));
    CHECK(a.sqnr_db() > 0.0);
    REQUIRE(a.reasons.size() == a.values.size());
    for (const value_reason& why : a.reasons) CHECK(why.why != reason::none);
  }
  CHECK(r.activations[1].reasons[0].why == reason::own_config);
  CHECK(r.activations[1].reasons[1].why == reason::shared_range);
}

TEST_CASE("quantizer_report: what a second reader of a weight lost is told") {
  toy::graph g;
  const int w = g.state("w.weight", random_tensor({5, 5}, 1));
  const int a = g.op("linear", {g.input(), w}, "a");
  g.outputs = {g.op("linear", {a, w}, "b")};
  quantizer q(g, {.module_name_configs = {{"a", {}}, {"b", {.op_state_spec = off}}}});
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0)});
  const compression_report r = q.finalize();
  REQUIRE(r.weights.size() == 1);
  CHECK(r.weights[0].status == tensor_status::compressed);
  CHECK(r.weights[0].reason ==
        "quantized by its config (config entry name 'a'); overridden: config entry name 'b'" +
            floats_stay);
}

TEST_CASE("quantizer_report: after load() nothing was measured, and that is said") {
  toy::graph g = small_net();
  quantizer q(g);
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0)});
  const std::vector<std::uint8_t> saved = q.save();
  toy::graph h = small_net();
  quantizer again(h);
  again.prepare();
  again.load(saved);
  for (const activation_record& a : again.finalize().activations) {
    CHECK(a.measured == 0);
    CHECK(std::isnan(a.sqnr_db()));
  }
}
