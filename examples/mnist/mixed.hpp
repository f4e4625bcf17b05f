// lutra examples: mnist/mixed.hpp - widths and groups chosen per weight, at the size of a uniform model.
// SPDX-License-Identifier: Apache-2.0
//
// The error of a choice is measured on calibration images, without labels: one weight is palettized, all others
// stay float, and the squared differences of the logits are averaged over the images. The sum over the weights is
// what the search minimises.
#pragma once

#include <common/table.hpp>
#include <lutra/core/executor_ref.hpp>
#include <lutra/flow/mixed_precision.hpp>
#include <lutra/ir/interpreter.hpp>
#include <lutra/ir/traits.hpp>
#include <mnist/report.hpp>

namespace lutra_examples {

// What the logits lose on some images when one weight is replaced: sum over the logits of (difference)^2,
// averaged over the images. Safe to call from several threads.
class logit_error {
 public:
  logit_error(const lutra::ir::graph& graph, const lutra::tensor<std::uint8_t>& images,
              lutra::index_t count)
      : graph_(graph), images_(std::min(images.extent(0), count)) {
    const lutra::ir::interpreter net(graph);
    for (lutra::index_t i = 0; i < images_; i += 16) {
      batches_.push_back(batch_of(images, i, std::min<lutra::index_t>(16, images_ - i)));
      logits_.push_back(net.run(batches_.back()));
    }
  }
  double operator()(const lutra::layer_trial<lutra::ir::graph>& trial) const {
    lutra::ir::graph changed = graph_;
    changed.at(trial.value).data = lutra::tensor<float>::copy_of(trial.restored);
    const lutra::ir::interpreter net(changed);
    double sum = 0;
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      sum += lutra::weighted_error(logits_[i].elements(), net.run(batches_[i]).elements(), {});
    }
    return sum / static_cast<double>(images_);
  }

 private:
  const lutra::ir::graph& graph_;
  lutra::index_t images_;
  std::vector<lutra::tensor<float>> batches_, logits_;
};

inline mixed_figures choose_bits(const lutra::ir::graph& graph,
                                 const lutra::palettizer_config& palettes,
                                 const lutra::tensor<std::uint8_t>& calibration,
                                 const mnist_options& o, lutra::executor_ref executor) {
  using namespace lutra;
  const palettization_spec base = palettes.global_config.op_state_spec.find("weight")->value;
  layer_offers offers{.granularities = {base.granularity}};  // first: what uniform_choice takes
  for (const index_t rows : {1, 2, 4, 8}) {
    const granularity g = granularity::per_grouped_channel(rows);
    if (!(g == base.granularity)) offers.granularities.push_back(g);
  }
  // Of matrices, which hold most of the bytes: what is left below a bit more for all of one buys tables for parts of
  // its rows.
  for (const index_t columns : {784, 392, 196}) {
    offers.granularities.push_back(granularity::per_block({1, columns}));
  }
  mixed_figures f;
  f.table = layer_choices_of(graph, palettes, offers);
  measure_layers(graph, f.table, logit_error(graph, calibration, o.measured_images),
                 {.progress = progress_bar("measure")}, executor);
  f.curve = size_curve(f.table).corners();
  for (const int bits : offers.n_bits) {
    const table_cost uniform = cost_of(f.table, uniform_choice(f.table, bits));
    f.sizes.push_back({bits, uniform, allocate_bits(f.table, uniform.bytes)});
  }
  f.target = f.sizes[static_cast<std::size_t>(o.target_bits - 1)];
  f.uniform = uniform_choice(f.table, o.target_bits);
  return f;
}

}  // namespace lutra_examples
