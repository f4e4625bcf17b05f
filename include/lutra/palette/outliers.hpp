// lutra: outliers.hpp - a few large weights kept as floats beside the codes.
// SPDX-License-Identifier: Apache-2.0
//
// One weight a thousand times larger than the rest takes a table entry of its own, and makes the steps of
// an 8-bit table so coarse that the rest is lost. Kept apart, it costs a position and a float. The
// element still has a code, which nobody reads.
#pragma once

#include <algorithm>
#include <cmath>
#include <lutra/core/error.hpp>
#include <span>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Which elements are kept apart: those of largest magnitude, the first of equal ones. Off by default.
struct outlier_spec {
  index_t count = 0;     // so many of the tensor, and
  double fraction = 0;   // this share of its elements, rounded down
  bool by_gain = false;  // of these only as many (a power of two, or all) as pay for their bytes

  bool enabled() const noexcept { return count > 0 || fraction > 0; }
  index_t limit(index_t elements) const noexcept {
    const auto share = static_cast<index_t>(fraction * static_cast<double>(elements));
    return std::min(elements, std::min(count, elements) + share);
  }
  friend bool operator==(const outlier_spec&, const outlier_spec&) = default;
};

inline void check(const outlier_spec& s, std::string_view where) {
  if (s.count < 0) {
    raise(errc::invalid_argument, "outliers.count is negative", std::string(where),
          text_of(s.count), ">= 0");
  }
  if (!(s.fraction >= 0 && s.fraction <= 1)) {
    raise(errc::invalid_argument, "outliers.fraction out of range", std::string(where),
          text_of(s.fraction), "0..1");
  }
}

// Elements of a dense tensor that replace what the codes say.
struct outlier_list {
  std::vector<index_t> position;  // row-major, strictly ascending
  std::vector<float> value;

  bool empty() const noexcept { return position.empty(); }
  // Bytes as stored, beside a tensor of `elements` elements: positions of 32 bits where they suffice.
  index_t bytes(index_t elements) const noexcept {
    const index_t each = elements <= (index_t{1} << 32) ? 8 : 12;
    return each * static_cast<index_t>(position.size());
  }
  // Replaces elements of the dense tensor.
  template <class T> void apply_to(T* dense) const {
    for (std::size_t i = 0; i < position.size(); ++i) dense[position[i]] = T(value[i]);
  }
  friend bool operator==(const outlier_list&, const outlier_list&) = default;
};

// Raises corrupt_data for a list that cannot belong to a tensor of so many elements.
inline void check(const outlier_list& list, index_t elements, std::string_view where) {
  const auto corrupt = [&](const char* what, std::string value, std::string allowed) {
    raise(errc::corrupt_data, what, std::string(where), std::move(value), std::move(allowed));
  };
  if (list.position.size() != list.value.size()) {
    corrupt("outlier positions and values differ in number",
            text_of(static_cast<index_t>(list.value.size())) + " values",
            text_of(static_cast<index_t>(list.position.size())));
  }
  for (std::size_t i = 0; i < list.position.size(); ++i) {
    const index_t at = list.position[i];
    if (at < 0 || at >= elements) {
      corrupt("outlier position out of range", text_of(at), range_text(index_t{0}, elements - 1));
    }
    if (i > 0 && at <= list.position[i - 1]) {
      corrupt("outlier positions are not ascending",
              text_of(at) + " after " + text_of(list.position[i - 1]), "strictly ascending");
    }
    if (!std::isfinite(list.value[i])) {
      corrupt("outlier value", text_of(list.value[i]), "finite");
    }
  }
}

// Positions of the `count` largest magnitudes, largest first, the first of equal ones first. `left_out`
// are ascending positions that do not take part. O(n + found log count).
template <class T>
std::vector<index_t> largest_magnitudes(std::span<const T> weight, index_t count,
                                        std::span<const index_t> left_out) {
  struct candidate {
    double magnitude;
    index_t position;
  };
  // A heap whose top is the first to go.
  const auto before = [](const candidate& a, const candidate& b) {
    return a.magnitude > b.magnitude || (a.magnitude == b.magnitude && a.position < b.position);
  };
  std::vector<candidate> heap;
  const auto size = to_size(std::max<index_t>(count, 0));
  auto skip = left_out.begin();
  for (std::size_t i = 0; size > 0 && i < weight.size(); ++i) {
    const auto at = static_cast<index_t>(i);
    if (skip != left_out.end() && *skip == at) {
      ++skip;
      continue;
    }
    double x = 0;
    if constexpr (std::floating_point<T>) {
      x = std::fabs(static_cast<double>(weight[i]));
    } else {
      x = static_cast<double>(std::fabs(static_cast<float>(weight[i])));
    }
    if (heap.size() == size) {
      if (x <= heap.front().magnitude) continue;
      std::pop_heap(heap.begin(), heap.end(), before);
      heap.pop_back();
    }
    heap.push_back({x, at});
    std::push_heap(heap.begin(), heap.end(), before);
  }
  std::sort(heap.begin(), heap.end(), before);
  std::vector<index_t> positions;
  for (const candidate& c : heap) positions.push_back(c.position);
  return positions;
}

}  // namespace lutra::inline LUTRA_ABI
