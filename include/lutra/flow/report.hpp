// lutra: report.hpp - what was done to every tensor, and why.
// SPDX-License-Identifier: Apache-2.0
//
// Nothing is skipped silently: each weight and each activation has a record with a typed reason and the same as
// a sentence. Figures:
//   sqnr_db          10 log10(sum x^2 / sum (x - x')^2), in double; +infinity for an exact result, NaN if not
//                    measured. Weights: over all elements; activations: over a sample of the calibration data
//                    (flow/value_sample.hpp)
//   bits_per_weight  8 * (codes + tables + scales in bytes) / elements
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <lutra/affine/granularity.hpp>
#include <lutra/graph/decision.hpp>
#include <lutra/number/dtype.hpp>
#include <lutra/tensor/view.hpp>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

enum class tensor_status : unsigned char { compressed, left_dense };

constexpr std::string_view name_of(tensor_status s) noexcept {
  switch (s) {
    case tensor_status::compressed:
      return "compressed";
    case tensor_status::left_dense:
      return "left_dense";
  }
  return "unknown";
}

inline double sqnr_db_of(double signal, double error) {
  return error == 0 ? std::numeric_limits<double>::infinity() : 10.0 * std::log10(signal / error);
}

struct weight_record {
  std::string name;
  tensor_status status = tensor_status::left_dense;
  lutra::reason why = lutra::reason::none;
  std::string reason;  // the config entry that chose it, or why it stays as it is
  std::string form;    // of a compressed one: "4-bit palette", "int4 per_channel(0)"; else empty
  shape extents{0};
  int n_bits = 0;
  index_t groups = 0;  // tables, or scales
  double inertia = 0;  // of the float tables, summed over groups: sum (w - centroid)^2
  double signal = 0;   // sum w^2
  double error = 0;    // sum (w - w')^2 after the table was quantized
  std::int64_t bytes_before = 0;
  std::int64_t bytes_after = 0;

  double sqnr_db() const { return sqnr_db_of(signal, error); }
  double bits_per_weight() const {
    const index_t n = extents.size();
    return n == 0 ? 0 : 8.0 * static_cast<double>(bytes_after) / static_cast<double>(n);
  }
};

struct value_reason {
  lutra::reason why = lutra::reason::none;
  std::string text;
};

// One fake-quantizer of activations and the values it stands behind.
struct activation_record {
  std::string name;                   // of the first value
  std::vector<std::string> values;    // every quantized value, in graph order
  std::vector<value_reason> reasons;  // of the values
  lutra::dtype dtype = lutra::dtype::int8;
  lutra::granularity granularity{};
  std::vector<float> scale;
  std::vector<std::int32_t> zero_point;
  std::int64_t samples = 0;  // elements observed
  shape extents{0};          // of the last tensor seen in calibration; [0]: none was
  double signal = 0;         // of the sample
  double error = 0;
  std::int64_t measured = 0;  // values in the sample; 0: blocks, or after load()

  double sqnr_db() const {
    return measured == 0 ? std::numeric_limits<double>::quiet_NaN() : sqnr_db_of(signal, error);
  }
  // Of one value with these extents: as f32, and as codes.
  std::int64_t bytes_before() const { return 4 * extents.size(); }
  std::int64_t bytes_after() const { return (extents.size() * bits_of(dtype) + 7) / 8; }
};

// A float value that is not quantized anywhere.
struct float_record {
  std::string name;
  lutra::reason why = lutra::reason::none;
  std::string reason;
};

struct compression_report {
  std::vector<weight_record> weights;          // every stored tensor
  std::vector<activation_record> activations;  // every fake-quantizer of activations
  std::vector<float_record> left_float;        // every other activation
  std::vector<std::string> notes;  // config entries without effect, overrides, disabled quantizers
};

}  // namespace lutra::inline LUTRA_ABI
