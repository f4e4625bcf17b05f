// Palettes first, then activations around them, over the networks whose totals the reference states.
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/graph/presets.hpp>

#include <set>

#include "graph/reference_nets.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {
int filled(toy::graph& g, const std::string& name, const shape& extents) {
  return g.state(name, random_tensor(extents, name.size()));
}

struct joint_run {
  toy::graph g;
  compression_report weights, activations;
  index_t weight_fakes = 0, activation_fakes = 0;  // in between

  joint_run(toy::graph net, const joint_config& config) : g(std::move(net)) {
    kmeans_palettizer palettizer(g, config.weights);
    palettizer.prepare();
    weights = palettizer.finalize();
    quantizer q(g, config.activations);
    q.prepare(batch(0));
    weight_fakes = q.applied_plan().count_places(true);
    activation_fakes = q.applied_plan().count_places(false);
    CHECK(g.count("fake_quant") == weight_fakes + activation_fakes);
    {
      const auto scope = q.calibration_mode();
      for (const std::uint64_t seed : {1U, 2U}) q.run(batch(seed));
    }
    activations = q.finalize();
  }
  // Palettes that a node reads.
  int palettes() const {
    std::set<int> read;
    for (const auto& [id, n] : g.nodes) {
      for (const int v : n.operands) {
        if (g.values.at(v).role == value_role::packed_state) read.insert(v);
      }
    }
    return static_cast<int>(read.size());
  }
};
}  // namespace

TEST_CASE("joint: the MNIST reference architecture: 6 tables, 12 quantize-dequantize pairs") {
  const joint_run r(toy::mnist_net({}, filled), presets::p4a8());
  CHECK(r.palettes() == 6);
  CHECK(r.weight_fakes == 0);
  CHECK(r.activation_fakes == 12);
  CHECK(r.g.count("fake_quant") == 0);
  CHECK(r.g.count("quantize") == 12);
  CHECK(r.g.count("dequantize") == 12);
  index_t compressed = 0;
  for (const weight_record& w : r.weights.weights) {
    const bool weight = w.name.ends_with(".weight") && w.name.find("_bn") == std::string::npos;
    CHECK((w.status == tensor_status::compressed) == weight);
    CHECK_FALSE(w.reason.empty());
    compressed += weight ? 1 : 0;
  }
  CHECK(compressed == 6);
  // Tables are recognised and left where they are, the biases and scales stay float.
  for (const weight_record& w : r.activations.weights) {
    CHECK(w.status != tensor_status::compressed);
  }
}

TEST_CASE("joint: only_for convolutions and linears: 4 tables, the reference's set") {
  joint_config config = presets::p4a8();
  config.weights.only_for({"conv2d", "linear"});
  const joint_run r(toy::mnist_net({}, filled), config);
  CHECK(r.palettes() == 4);
  CHECK(r.weight_fakes == 0);
  CHECK(r.g.count("quantize") == 12);
  CHECK(r.g.count("dequantize") == 12);
  for (const weight_record& w : r.weights.weights) {
    const bool chosen = w.name == "conv1.weight" || w.name == "conv2.weight" ||
                        w.name == "dense1.weight" || w.name == "dense2.weight";
    CHECK((w.status == tensor_status::compressed) == chosen);
  }
}

TEST_CASE("joint: affine weights too, where there is no table") {
  joint_config config{.weights = presets::p4a8().weights, .activations = presets::w8a8()};
  config.weights.only_for({"conv2d", "linear"});
  const joint_run r(toy::mnist_net({}, filled), config);
  CHECK(r.palettes() == 4);
  CHECK(r.weight_fakes == 2);  // of the transposed convolutions
  CHECK(r.activation_fakes == 12);
  CHECK(r.g.count("dequantize") == 14);
}

TEST_CASE("joint: the shape of ResNet-50: 54 tables, 74 quantize-dequantize pairs") {
  const joint_run r(toy::resnet50_net({}, filled), presets::p4a8());
  CHECK(r.palettes() == 54);
  CHECK(r.weight_fakes == 0);
  CHECK(r.activation_fakes == 74);
  CHECK(r.g.count("quantize") == 74);
  CHECK(r.g.count("dequantize") == 74);
}
