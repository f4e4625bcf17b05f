// lutra: batch_norm_report.hpp - what folding does to every batch norm of a graph, and what is in the way.
// SPDX-License-Identifier: Apache-2.0
//
// Value types of fold_batch_norm.hpp and train_batch_norm.hpp; concurrent reads are safe.
#pragma once

#include <lutra/core/progress.hpp>
#include <lutra/core/types.hpp>
#include <lutra/tensor/tensor.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lutra::inline LUTRA_ABI {

enum class fold_outcome : unsigned char {
  folded,
  no_layer,                // it does not read the result of a convolution or linear layer
  read_elsewhere,          // the layer's result has another reader
  extra_results_read,      // a second result of the batch norm (statistics) is read
  unsupported_by_adapter,  // the graph is not a foldable_graph
  parameters_unknown,      // batch_norm_of() does not know them
  parameters_computed,     // one of them is not a stored float tensor
  parameters_do_not_fit,   // not one per output channel of the layer
  weight_computed,         // the layer's weight is not a stored float tensor
  weight_palettized,       // it is a palette already
  weight_shared,           // something else reads it, too
  bias_computed,           // the layer's bias is not a stored float tensor
  rank_unknown,            // of a linear layer's result; only a matrix has its channels in axis 1
  not_finite,              // a variance + eps that is not positive, or a result beyond f32
  // Of train_batch_norm.hpp alone:
  zero_scale,        // a channel's scale is 0, or so far from 1 that nothing can be divided by it
  quantized_between  // the plan quantizes the layer's result or its bias
};

constexpr std::string_view name_of(fold_outcome o) noexcept {
  switch (o) {
    case fold_outcome::folded:
      return "folded";
    case fold_outcome::no_layer:
      return "no_layer";
    case fold_outcome::read_elsewhere:
      return "read_elsewhere";
    case fold_outcome::extra_results_read:
      return "extra_results_read";
    case fold_outcome::unsupported_by_adapter:
      return "unsupported_by_adapter";
    case fold_outcome::parameters_unknown:
      return "parameters_unknown";
    case fold_outcome::parameters_computed:
      return "parameters_computed";
    case fold_outcome::parameters_do_not_fit:
      return "parameters_do_not_fit";
    case fold_outcome::weight_computed:
      return "weight_computed";
    case fold_outcome::weight_palettized:
      return "weight_palettized";
    case fold_outcome::weight_shared:
      return "weight_shared";
    case fold_outcome::bias_computed:
      return "bias_computed";
    case fold_outcome::rank_unknown:
      return "rank_unknown";
    case fold_outcome::not_finite:
      return "not_finite";
    case fold_outcome::zero_scale:
      return "zero_scale";
    case fold_outcome::quantized_between:
      return "quantized_between";
  }
  return "unknown";
}

struct batch_norm_record {
  std::string name;    // of the batch norm's node
  std::string layer;   // node before it; empty if there is none
  std::string weight;  // of the layer
  fold_outcome outcome = fold_outcome::folded;
  std::string detail;  // what exactly is in the way; of folded ones: the bias that was made
};

struct batch_norm_report {
  std::vector<batch_norm_record> records;  // every batch norm, in graph order

  index_t folded() const {
    index_t n = 0;
    for (const batch_norm_record& r : records) n += r.outcome == fold_outcome::folded ? 1 : 0;
    return n;
  }
};

// What training made of layers and their batch norms, by number in the plan's index.
struct trained_layers {
  std::unordered_map<index_t, tensor<float>> numbers;  // weights and biases to store
  std::unordered_map<index_t, std::string> left;       // weights of those it broke: why
  std::vector<std::string> notes;                      // about these
};

struct fold_options {
  log_sink log{};  // a warning per batch norm that stays
};

}  // namespace lutra::inline LUTRA_ABI
