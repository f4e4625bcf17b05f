// lutra: torch_search.hpp - the range that torch.ao's HistogramObserver chooses of its histogram.
// SPDX-License-Identifier: Apache-2.0
//
// A greedy search that moves one end by 1e-5 of the mass at a time and stops at the first step that does not pay, for
// 256 destination bins whatever the width of the dtype. Equal to torch's up to the order in which it adds float32 norms
// (it depends on the instruction set). O(bins) per step.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <lutra/observe/torch_bins.hpp>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// torch's _non_linear_param_search: the ends it settles on, before zero is included.
class torch_search {
 public:
  explicit torch_search(const torch_bins& bins) : bins_(bins) {
    double sum = 0;
    for (const float c : bins.counts()) {
      sum += static_cast<double>(c);
      cumulative_.push_back(static_cast<float>(sum));
    }
  }
  // Raises non_finite if the width of the histogram overflows float32 or that of its bins underflows.
  std::pair<float, float> ends() const {
    torch_bins::check_width(bins_.min(), bins_.max());
    const float width = (bins_.max() - bins_.min()) / static_cast<float>(cumulative_.size());
    if (width == 0.0F && bins_.min() != bins_.max()) {
      raise(errc::non_finite, "bins of a histogram are too narrow for float32", "torch_histogram",
            range_text(bins_.min(), bins_.max()), "a width of a bin above 0");
    }
    const auto count = static_cast<index_t>(cumulative_.size());
    const auto total = static_cast<double>(cumulative_.back());
    const auto mass = [&](index_t i) { return cumulative_[to_size(i)]; };
    constexpr double step = 1e-5;
    double alpha = 0;
    double beta = 1;
    index_t start = 0;
    index_t end = count - 1;
    float least = std::numeric_limits<float>::infinity();
    while (alpha < beta) {
      const double next_alpha = alpha + step;
      const double next_beta = beta - step;
      index_t l = start;
      index_t r = end;
      while (l < end && mass(l) < static_cast<float>(next_alpha * total)) ++l;
      while (r > start && mass(r) > static_cast<float>(next_beta * total)) --r;
      index_t next_start = start;
      index_t next_end = end;
      if (l - start > end - r) {
        next_start = l;
        alpha = next_alpha;
      } else {
        next_end = r;
        beta = next_beta;
      }
      if (next_start == start && next_end == end) continue;
      const float error = quantization_error(next_start, next_end);
      if (error > least) break;
      least = error;
      start = next_start;
      end = next_end;
    }
    constexpr float most = std::numeric_limits<float>::max();  // the product may be rounded beyond
    return {bins_.min() + width * static_cast<float>(start),
            bins_.min() + std::min(width * static_cast<float>(end + 1), most)};
  }

 private:
  static float cubic(float begin, float end, float density) noexcept {
    return density * ((end * end * end - begin * begin * begin) / 3.0F);
  }
  float quantization_error(index_t start, index_t end) const {
    constexpr double destinations = 256;
    const auto count = static_cast<index_t>(cumulative_.size());
    const double width = (static_cast<double>(bins_.max()) - static_cast<double>(bins_.min())) /
                         static_cast<double>(count);
    const double step_exact = width * static_cast<double>(end - start + 1) / destinations;
    if (step_exact == 0.0) return 0.0F;
    const auto step = static_cast<float>(step_exact);
    const auto half = static_cast<float>(step_exact / 2.0);
    const auto bin_width = static_cast<float>(width);
    const float whole = cubic(-half, half, 1.0F);
    const auto destination = [&](float x) {
      return std::clamp(std::floor(x / step), 0.0F, static_cast<float>(destinations - 1));
    };
    double sum = 0;
    for (index_t i = 0; i < count; ++i) {
      const float density = bins_.counts()[to_size(i)] / bin_width;
      const float from = static_cast<float>(i - start) * bin_width;
      const float to = from + bin_width;
      const float first = destination(from);
      const float last = destination(to);
      float norm = cubic(from - (first + 0.5F) * step, half, density);
      norm += (last - first - 1.0F) * (density * whole);
      norm += cubic(-half, to - (last * step + half), density);
      sum += static_cast<double>(norm);
    }
    return static_cast<float>(sum);
  }

  const torch_bins& bins_;
  std::vector<float> cumulative_;
};

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
