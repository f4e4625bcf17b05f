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

// Runs shards last to first and counts how often it is asked.
struct counting_executor {
  lutra::index_t* calls;
  template <class F> void bulk(lutra::index_t n, F&& f) const {
    ++*calls;
    while (n-- > 0) f(n);
  }
};
template <class Op> inline constexpr bool shares_work = false;
template <> inline constexpr bool shares_work<lutra::ir::integer_conv> = true;
template <> inline constexpr bool shares_work<lutra::ir::integer_conv_transpose> = true;
template <> inline constexpr bool shares_work<lutra::ir::integer_linear> = true;
template <> inline constexpr bool shares_work<lutra::ir::integer_conv3d> = true;
template <> inline constexpr bool shares_work<lutra::ir::integer_conv_transpose3d> = true;
template <> inline constexpr bool shares_work<lutra::ir::integer_grouped_conv> = true;
template <> inline constexpr bool shares_work<lutra::ir::integer_grouped_conv_transpose> = true;
template <> inline constexpr bool shares_work<lutra::ir::integer_grouped_linear> = true;

// How often one layer may ask an executor for one batch. A volume asks slice by slice, so how often depends on its input.
struct executor_calls {
  lutra::index_t least = 0;
  lutra::index_t most = 0;
};
template <class Op> executor_calls calls_of(const Op& op) {
  using namespace lutra;
  if constexpr (!shares_work<Op>) {
    return {0, 0};
  } else if constexpr (std::is_same_v<Op, ir::integer_conv3d> ||
                       std::is_same_v<Op, ir::integer_conv_transpose3d>) {
    return {2, max_size};
  } else if constexpr (std::is_same_v<Op, ir::integer_conv_transpose> ||
                       std::is_same_v<Op, ir::integer_grouped_conv_transpose>) {
    // Once, or once per phase of its outputs, per phase of rows whose columns are brought together, and for outputs
    // that no input reaches.
    const auto [rows, columns] = op.options.geometry.window.stride;
    return {1, rows * columns + rows + 1};
  } else {
    return {1, 1};
  }
}

// Every layer hands its work to the executor, in few pieces, and the order of the shards changes no bit.
inline void check_executor(const lutra::ir::integer_program& program,
                           const lutra::tensor<float>& x) {
  using namespace lutra;
  index_t calls = 0;
  executor_calls expected;
  for (const ir::integer_step& s : program.steps()) {
    std::visit(
        [&](const auto& op) {
          const executor_calls of = calls_of(op);
          expected.least += of.least;
          expected.most += std::min(of.most, max_size - expected.most);
        },
        s.operation);
  }
  CHECK(program.run_codes(lutra::view(x), counting_executor{&calls}) ==
        program.run_codes(lutra::view(x)));
  CHECK(calls >= expected.least);
  CHECK(calls <= expected.most);
}

// Integer and simulated outputs in steps of the output scale: rarely apart, and by at most one, for every executor. (A code that
// differs early in a deep network may move an output by more.)
inline void check_agreement(const lutra::ir::graph& g, const lutra::tensor<float>& x,
                            double most_different, float most_steps = 1) {
  using namespace lutra;
  const ir::integer_program program = ir::lower(g);
  const auto simulated = ir::interpreter(g).run(x);
  const auto integer = program.run(x);
  REQUIRE(simulated.extents() == integer.extents());
  check_executor(program, x);
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
