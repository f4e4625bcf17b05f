// lutra: percentile.hpp - selection "percentile": leaves out a fixed share of the largest magnitudes.
// SPDX-License-Identifier: Apache-2.0
//
// With n finite elements and share p, at most floor((1 - p) * n) lie outside. Symmetric schemes rank
// magnitudes (a bin and its mirror image count together); asymmetric ones leave out half of that at
// either end. Ranks are integers and ends are bin edges, tightened to the smallest and largest element.
// O(bins).
#pragma once

#include <lutra/core/strict_fp.hpp>
#include <lutra/observe/range/value_range.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Value type.
struct percentile_range {
  double share = 0.9999;  // in (0, 1]

  value_range operator()(const histogram& h, const quantization_spec& spec) const {
    if (!(share > 0.0 && share <= 1.0)) {
      raise(errc::invalid_argument, "share out of range", "percentile_range", text_of(share),
            "(0, 1]");
    }
    const value_range full = full_range(h, spec);
    if (h.finite() == 0) return full;
    const double outside = (1.0 - share) * static_cast<double>(h.finite());
    const auto whole = static_cast<std::uint64_t>(outside);
    if (is_symmetric(spec)) return within(full, magnitude_leaving(h, whole));
    return {spec.float_range.lo ? full.lo : std::max(full.lo, low_leaving(h, whole / 2)),
            spec.float_range.hi ? full.hi : std::min(full.hi, high_leaving(h, whole / 2))};
  }
  friend bool operator==(const percentile_range&, const percentile_range&) = default;

 private:
  // The lowest upper edge with at most `outside` elements above it; not below 0.
  static float high_leaving(const histogram& h, std::uint64_t outside) {
    std::uint64_t above = 0;
    for (index_t i = h.bins() - 1; i >= 0; --i) {
      above += h.counts()[to_size(i)];
      if (above > outside) return clipped(h.edge(i + 1), h);
    }
    return 0.0F;
  }
  static float low_leaving(const histogram& h, std::uint64_t outside) {
    std::uint64_t below = 0;
    for (index_t i = 0; i < h.bins(); ++i) {
      below += h.counts()[to_size(i)];
      if (below > outside) return -clipped(-h.edge(i), h);
    }
    return 0.0F;
  }
  // The lowest m * 2^e with at most `outside` magnitudes above it.
  static float magnitude_leaving(const histogram& h, std::uint64_t outside) {
    const std::int64_t first = h.lattice().first;
    const std::int64_t end = first + h.bins();
    const auto count = [&](std::int64_t at) {
      return at < first || at >= end ? 0 : h.counts()[to_size(at - first)];
    };
    std::uint64_t above = 0;
    for (std::int64_t m = std::max(end, -first) - 1; m >= 0; --m) {
      above += count(m) + count(-m - 1);
      if (above > outside) return clipped(static_cast<double>(m + 1) * h.width(), h);
    }
    return 0.0F;
  }
  static float clipped(double edge, const histogram& h) {
    const float largest = std::max(-h.min(), h.max());
    const bool inside = edge < static_cast<double>(largest);
    return inside ? std::max(static_cast<float>(edge), 0.0F) : largest;
  }
};
static_assert(range_selection<percentile_range>);

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
