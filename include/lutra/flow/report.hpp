// lutra: report.hpp - what was done to every tensor, and why.
// SPDX-License-Identifier: Apache-2.0
//
// Nothing is skipped silently: each weight gets one record. Figures:
//   sqnr_db          10 log10(sum w^2 / sum (w - w')^2), in double; +infinity for an exact result
//   bits_per_weight  8 * (codes + tables + scales in bytes) / elements
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <lutra/tensor/view.hpp>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

enum class tensor_status : unsigned char { compressed, left_dense, failed };

constexpr std::string_view name_of(tensor_status s) noexcept {
  switch (s) {
    case tensor_status::compressed:
      return "compressed";
    case tensor_status::left_dense:
      return "left_dense";
    case tensor_status::failed:
      return "failed";
  }
  return "unknown";
}

struct weight_record {
  std::string name;
  tensor_status status = tensor_status::left_dense;
  std::string reason;  // of left_dense and failed; which rule decided otherwise
  shape extents{0};
  int n_bits = 0;
  index_t groups = 0;
  double inertia = 0;  // of the float tables, summed over groups: sum (w - centroid)^2
  double signal = 0;   // sum w^2
  double error = 0;    // sum (w - w')^2 after the table was quantized
  std::int64_t bytes_before = 0;
  std::int64_t bytes_after = 0;

  double sqnr_db() const {
    return error == 0 ? std::numeric_limits<double>::infinity() : 10.0 * std::log10(signal / error);
  }
  double bits_per_weight() const {
    const index_t n = extents.size();
    return n == 0 ? 0 : 8.0 * static_cast<double>(bytes_after) / static_cast<double>(n);
  }
};

// One fake-quantizer and the values it stands behind.
struct activation_record {
  std::string name;                 // of the first value
  std::vector<std::string> values;  // every quantized value, in graph order
  std::vector<float> scale;
  std::vector<std::int32_t> zero_point;
  std::int64_t samples = 0;  // elements observed
};

// A float value that is not quantized anywhere.
struct float_record {
  std::string name;
  std::string reason;
};

struct compression_report {
  std::vector<weight_record> weights;          // every stored tensor
  std::vector<activation_record> activations;  // every fake-quantizer of activations
  std::vector<float_record> left_float;        // every other activation
  std::vector<std::string> notes;  // config entries without effect, overrides, disabled quantizers
};

}  // namespace lutra::inline LUTRA_ABI
