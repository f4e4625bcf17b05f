// lutra: suggestion.hpp - the known name nearest to a misspelled one, for error messages.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <lutra/core/types.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Characters to insert, delete or replace, and neighbours to swap, to turn a into b.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);  // distances of the first i characters of a
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  std::vector<std::size_t> before = row;  // of one less
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::vector<std::size_t> next(row.size(), i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = row[j] + (a[i] == b[j] ? 0 : 1);
      next[j + 1] = std::min({replaced, next[j] + 1, row[j + 1] + 1});
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j]) {
        next[j + 1] = std::min(next[j + 1], before[j - 1] + 1);
      }
    }
    before = std::move(row);
    row = std::move(next);
  }
  return row.back();
}

// "; did you mean 'name'?" for the nearest name, if at most a third of the word is wrong and no other name is as near;
// else empty.
inline std::string did_you_mean(std::string_view word, std::span<const std::string_view> names) {
  std::string_view nearest;
  std::size_t least = word.size() / 3 + 1;
  for (const std::string_view name : names) {
    const std::size_t distance = edit_distance(word, name);
    if (distance < least) {
      least = distance;
      nearest = name;
    } else if (distance == least && name != nearest) {
      nearest = {};  // until one is nearer than both
    }
  }
  return nearest.empty() ? std::string() : "; did you mean '" + std::string(nearest) + "'?";
}

}  // namespace lutra::inline LUTRA_ABI
