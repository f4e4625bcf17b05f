// Affine weights in the end: codes where the adapter takes them, floats and a pair where not, and what the report says.
#include <lutra/flow/quantizer.hpp>
#include <lutra/graph/presets.hpp>

#include "nets.hpp"

using namespace lutra;

namespace {
compression_report affine_report(auto& g, const quantizer_config& config = {}) {
  quantizer q(g, config);
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0), batch(1)});
  return q.finalize();
}
const weight_record& affine_record(const compression_report& r, const std::string& name) {
  for (const weight_record& w : r.weights) {
    if (w.name == name) return w;
  }
  FAIL("no record of " << name);
  return r.weights.front();
}
index_t stored_codes(const toy::graph& g, int reader, std::size_t slot = 1) {
  const int v = g.nodes.at(g.producer(reader)).operands.at(slot);
  REQUIRE(g.values.at(v).affine);
  return g.values.at(v).affine->bytes();
}
}  // namespace

TEST_CASE("affine_constants: weights become codes, activations pairs, and nothing else changes") {
  const small_net net;
  toy::storing g{net};
  quantizer q(g);
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0), batch(1)});
  const quantization_plan plan = q.applied_plan();
  const compression_report report = q.finalize();
  CHECK(g.count("fake_quant") == 0);
  CHECK(g.count("quantize") == plan.count_places(false));
  CHECK(g.count("dequantize") == plan.count_places(false));
  CHECK(affine_record(report, "fc1.weight").bytes_after == 30 + 4 * 6);
  CHECK(affine_record(report, "fc1.weight").bytes_after == stored_codes(g, net.l1));
  CHECK(affine_record(report, "fc2.weight").bytes_after == stored_codes(g, net.l2));
  CHECK(affine_record(report, "fc1.weight").reason.find("floats") == std::string::npos);
  // What the fake-quantizer computed is what the codes say.
  tensor<float> rounded({6, 5});
  const affine_constant& c = *g.values.at(g.maker(net.l1).operands[1]).affine;
  fake_quantize(lutra::view(net.values.at(net.w1).data), c.parameters, lutra::view(rounded));
  CHECK(g.values.at(g.maker(net.l1).operands[1]).data == rounded);
  // A second quantizer leaves them where they are.
  const toy::graph once = g;
  quantizer again(g, presets::affine_w8());
  again.prepare();
  CHECK(again.applied_plan().count_places(true) == 0);
  again.finalize();
  CHECK(g.same_as(once));
}

TEST_CASE("affine_constants: an adapter without them keeps floats, and the report counts those") {
  toy::graph g = small_net();
  const compression_report report = affine_report(g);
  const weight_record& w = affine_record(report, "fc1.weight");
  CHECK(g.count("dequantize") == 7);
  CHECK(w.status == tensor_status::compressed);
  CHECK(w.bytes_before == 120);
  CHECK(w.bytes_after == 120 + 4 * 6);
  CHECK(w.reason.find("; the floats stay, the adapter has no emit_affine_constant") !=
        std::string::npos);
}

TEST_CASE(
    "affine_constants: a shared weight is stored once, with its floats if something reads on") {
  small_net net;
  net.maker(net.l2).operands = {net.x, net.w1};
  const int loose = net.op("softmax", {net.w1});  // no registered op: it reads the floats
  toy::storing shared{net};
  const weight_record both = affine_record(affine_report(shared), "fc1.weight");
  CHECK(both.bytes_after == 30 + 4 * 6 + 120);
  CHECK(both.reason.find("; the floats stay, something reads them") != std::string::npos);
  CHECK(shared.maker(net.l1).operands[1] == shared.maker(net.l2).operands[1]);
  CHECK(shared.maker(loose).operands[0] == net.w1);
  net.nodes.erase(net.producer(loose));
  std::erase_if(net.order, [&](int n) { return net.nodes.count(n) == 0; });
  toy::storing alone{net};
  CHECK(affine_record(affine_report(alone), "fc1.weight").bytes_after == 30 + 4 * 6);
}

TEST_CASE("affine_constants: an adapter that throws at any edit leaves the graph as it was") {
  toy::storing probe{small_net()};
  quantizer whole(probe);
  whole.prepare();
  const int in_prepare = probe.edits;
  whole.calibrate(std::vector<tensor<float>>{batch(0)});
  whole.finalize();
  const int in_finalize = probe.edits - in_prepare;
  constexpr int erasures = 7;
  for (int k = 0; k < in_finalize; ++k) {
    toy::storing g{small_net()};
    quantizer q(g);
    q.prepare();
    q.calibrate(std::vector<tensor<float>>{batch(0)});
    const toy::graph before = g;
    g.fail_in = k;
    if (k <= in_finalize - erasures) {  // up to and with the first erasure
      CHECK_THROWS_AS(q.finalize(), toy::failure);
      CHECK_MESSAGE(g.same_as(before), "edit " << k);
      CHECK(q.finalize().notes.empty());
    } else {
      CHECK(q.finalize().notes.back() == "1 dead nodes could not be erased from the graph");
    }
    CHECK(g.count("dequantize") == 5);
    int constants = 0;
    for (const auto& [id, v] : g.values) constants += v.affine ? 1 : 0;
    CHECK(constants == 2);
  }
}
