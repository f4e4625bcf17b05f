#include <lutra/flow/quantizer_report.hpp>
#include <lutra/graph/plan.hpp>

#include "nets.hpp"

using namespace lutra;

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
  CHECK(first.bytes_after == 15 + 4 + 4);  // codes, scale, zero point
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
  CHECK(r.weights[1].reason.find("no key") != std::string::npos);
  CHECK(r.weights[2].status == tensor_status::left_dense);
  CHECK(r.weights[2].reason == "no data was observed");
  CHECK(r.left_float.size() == 6);
  for (const float_record& f : r.left_float) CHECK_FALSE(f.reason.empty());
}
