// lutra: value_sample.hpp - some values of a stream of tensors, kept to measure a quantizer on them afterwards.
// SPDX-License-Identifier: Apache-2.0
//
// At most 256 values of a tensor, spread over it by the golden ratio (no period of a layout is met), and of at
// most 8 tensors: when there are more, every second one is dropped, and every second of those that follow is not
// looked at. The same tensors in the same order give the same sample. NaN and infinite values are left
// out. add() is O(1), of a view that is not contiguous O(its size). Value type; one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/affine/qparams.hpp>
#include <lutra/affine/quantize.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/tensor/tensor.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Sums over sampled values, in double (of all values: affine/error_report.hpp).
struct sampled_error {
  double signal = 0;       // sum x^2
  double error = 0;        // sum (x - x')^2
  std::int64_t count = 0;  // 0: not measured
};

class value_sample {
 public:
  static constexpr index_t most_of_tensor = 256;
  static constexpr std::size_t most_tensors = 8;

  // For parameters of granularity `g`. Those of blocks are not measured: only the extents are kept.
  void add(const tensor_view<const float>& x, const granularity& g) {
    if (x.empty()) return;
    extents_ = x.extents();
    const bool channels = g.kind() == granularity_kind::per_channel;
    if (!channels && g.kind() != granularity_kind::per_tensor) return;
    if (seen_++ % stride_ != 0) return;
    int axis = g.axis().value_or(0);
    if (axis < 0) axis += x.rank();
    tensor<float> copy;
    if (!x.is_contiguous()) copy = tensor<float>::copy_of(x);
    const float* from = x.is_contiguous() ? x.data() : copy.data();
    if (parts_.size() == most_tensors) {
      for (std::size_t i = 1; 2 * i < most_tensors; ++i) parts_[i] = std::move(parts_[2 * i]);
      parts_.resize(most_tensors / 2);
      stride_ *= 2;  // divides seen_ - 1: most_tensors strides have passed, which is an even number
    }
    const index_t inner = channels ? extents_.product(axis + 1, x.rank()) : 1;
    const index_t units = channels ? x.extent(axis) : 1;
    std::vector<entry>& part = parts_.emplace_back();
    const index_t n = std::min<index_t>(x.size(), std::int64_t{1} << 31);
    for (index_t k = 0; k < std::min(n, most_of_tensor); ++k) {
      const index_t at = n <= most_of_tensor ? k : position(k, n);
      const float value = from[at];
      if (is_finite(value)) part.push_back({value, (at / inner) % units});
    }
  }
  // Extents of the last tensor that was not empty; [0] before one.
  const shape& extents() const noexcept { return extents_; }
  // What `q`, of the granularity the sample was made for, does to it. Count 0 if it has another number of units.
  sampled_error error_of(const qparams& q) const {
    sampled_error sum;
    const auto units = static_cast<index_t>(q.scale.size());
    std::vector<std::vector<float>> values(q.scale.size());  // by unit
    for (const auto& part : parts_) {
      for (const entry& e : part) {
        if (e.unit >= units) return {};
        values[to_size(e.unit)].push_back(e.value);
      }
    }
    qparams one = q;
    one.granularity = granularity::per_tensor();
    for (std::size_t u = 0; u < values.size(); ++u) {
      if (values[u].empty()) continue;
      take(u, q.scale, one.scale);
      take(u, q.zero_point, one.zero_point);
      take(u, q.minval, one.minval);
      const shape extents{static_cast<index_t>(values[u].size())};
      tensor<float> rounded(extents);
      fake_quantize(tensor_view<const float>(values[u].data(), extents), one, view(rounded));
      for (std::size_t i = 0; i < values[u].size(); ++i) {
        const auto x = static_cast<double>(values[u][i]);
        const double d = x - static_cast<double>(rounded[static_cast<index_t>(i)]);
        sum.signal += x * x;
        sum.error += d * d;
      }
      sum.count += extents.size();
    }
    return sum;
  }

 private:
  struct entry {
    float value;
    index_t unit;
  };
  static index_t position(index_t k, index_t n) noexcept {
    constexpr std::uint32_t golden = 2654435769U;  // 2^32 / 1.618...
    const std::uint64_t fraction = static_cast<std::uint32_t>(k) * golden;
    return static_cast<index_t>((fraction * static_cast<std::uint64_t>(n)) >> 32U);
  }
  template <class T>
  static void take(std::size_t u, const std::vector<T>& all, std::vector<T>& one) {
    one.clear();
    if (!all.empty()) one.push_back(all[u]);
  }

  shape extents_{0};
  std::int64_t seen_ = 0;
  std::int64_t stride_ = 1;
  std::vector<std::vector<entry>> parts_;  // of a tensor each
};

}  // namespace lutra::inline LUTRA_ABI
