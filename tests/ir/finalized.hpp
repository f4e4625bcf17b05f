// A small network taken through palettizer and quantizer, for the tests of integer mode.
#pragma once

#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/ir/lower.hpp>
#include <lutra/ir/traits.hpp>

#include "ir/helpers.hpp"

namespace test {

struct activation_choice {
  lutra::dtype dtype = lutra::dtype::int8;
  lutra::qscheme scheme = lutra::qscheme::symmetric;
};

// Palettizes every weight (4 bits, int8 tables) and quantizes every activation of `g`, calibrated on x.
inline lutra::ir::graph finalized(lutra::ir::graph g, const lutra::tensor<float>& x,
                                  activation_choice a = {}, int group_size = 0) {
  lutra::palettization_spec weights{.lut_qspec = lutra::int8_symmetric_with_clipping};
  if (group_size > 0) {
    weights.granularity = lutra::granularity::per_grouped_channel(group_size);
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

}  // namespace test
