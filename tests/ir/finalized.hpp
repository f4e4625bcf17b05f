// A small network taken through palettizer and quantizer, for the tests of integer mode.
#pragma once

#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/ir/lower.hpp>
#include <lutra/ir/traits.hpp>

#include <cmath>
#include <set>

#include "ir/helpers.hpp"

namespace test {

struct activation_choice {
  lutra::dtype dtype = lutra::dtype::int8;
  lutra::qscheme scheme = lutra::qscheme::symmetric;
};

// Palettizes every weight (4 bits, int8 tables) and quantizes every activation of `g`, calibrated on x.
inline lutra::ir::graph finalized(lutra::ir::graph g, const lutra::tensor<float>& x,
                                  activation_choice a = {}, int group_size = 0,
                                  std::optional<int> axis = {}) {
  lutra::palettization_spec weights{.lut_qspec = lutra::int8_symmetric_with_clipping};
  if (group_size > 0) {
    weights.granularity = lutra::granularity::per_grouped_channel(group_size, axis);
  }
  lutra::palettizer_config palettes;
  palettes.global_config.op_state_spec = {{"weight", weights}};
  lutra::kmeans_palettizer palettizer(g, palettes);
  palettizer.prepare();
  palettizer.finalize();
  const lutra::quantization_spec spec{.dtype = a.dtype, .qscheme = a.scheme};
  lutra::quantizer_config config;
  config.global_config.op_state_spec = lutra::off;
  config.global_config.op_input_spec = {{"*", spec}};
  config.global_config.op_output_spec = {{"*", spec}};
  lutra::quantizer activations(g, config);
  activations.prepare();
  {
    const auto scope = activations.calibration_mode();
    activations.run(x);
  }
  activations.finalize();
  return g;
}

// Integer and simulated outputs in steps of the output scale: rarely apart, and by at most one. (A code that
// differs early in a deep network may move an output by more.)
inline void check_agreement(const lutra::ir::graph& g, const lutra::tensor<float>& x,
                            double most_different, float most_steps = 1) {
  using namespace lutra;
  const ir::integer_program program = ir::lower(g);
  const auto simulated = ir::interpreter(g).run(x);
  const auto integer = program.run(x);
  REQUIRE(simulated.extents() == integer.extents());
  const float step = program.output_parameters().scale[0];
  index_t different = 0;
  for (index_t i = 0; i < integer.size(); ++i) {
    const float distance = std::abs(simulated[i] - integer[i]) / step;
    CHECK(distance < most_steps + 0.5F);
    different += distance > 0.5F ? 1 : 0;
  }
  CAPTURE(integer.size());
  CHECK(static_cast<double>(different) <= most_different * static_cast<double>(integer.size()));
  const std::set<float> values(integer.elements().begin(), integer.elements().end());
  CHECK(values.size() > 10);  // the outputs say something
}

}  // namespace test
