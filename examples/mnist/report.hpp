// lutra examples: mnist/report.hpp - the figures of a run, as a table and as report.json.
// SPDX-License-Identifier: Apache-2.0
//
// Everything except "seconds" is a function of the input files and options: the same bytes for any
// number of threads, compiler and instruction set. Floats are written in their shortest form, SQNR
// with four digits (log10 belongs to the maths library).
#pragma once

#include <lutra/flow/batch_norm_report.hpp>
#include <lutra/flow/bit_search.hpp>
#include <lutra/flow/report.hpp>
#include <mnist/evaluate.hpp>
#include <mnist/options.hpp>

namespace lutra_examples {

struct model_accuracy {
  lutra::index_t correct = 0;
  double seconds = 0;
};

// Widths and groups chosen per weight (mixed.hpp).
struct mixed_figures {
  // The size of `bits` everywhere, and the errors there.
  struct size {
    int bits = 0;
    lutra::table_cost uniform;
    lutra::bit_allocation found;
  };
  lutra::layer_table table;
  std::vector<lutra::index_t> uniform;   // the choice of the model that gives the size
  size target;                           // --target-bits
  std::vector<size> sizes;               // of every width
  std::vector<lutra::table_cost> curve;  // corners, from the smallest model on
};

struct mnist_figures {
  lutra::index_t images = 0;
  lutra::index_t calibration_images = 0;
  model_accuracy original, palettized, simulated, integer;
  lutra::batch_norm_report batch_norms;   // empty for a network without any
  lutra::compression_report weights;      // of the palettizer
  lutra::compression_report activations;  // of the quantizer
  std::optional<mixed_figures> mixed;     // with --target-bits
  double mixed_seconds = 0;
  lutra::index_t bytes_before = 0;  // weight tensors in the input file
  lutra::index_t bytes_after = 0;   // their codes, tables and scales in the output file
  bool simulated_equals_fake_quant = false;
  logit_difference integer_logits;
  double palettize_seconds = 0;
  double calibrate_seconds = 0;

  double percent(const model_accuracy& m) const {
    return 100.0 * static_cast<double>(m.correct) / static_cast<double>(images);
  }
  double evaluate_seconds() const {
    return original.seconds + palettized.seconds + simulated.seconds + integer.seconds;
  }
};

std::string table_text(const mnist_figures& f);
std::string json_text(const mnist_figures& f, const mnist_options& o);

}  // namespace lutra_examples
