// lutra: text_layout.hpp - tables and sentences for a terminal.
// SPDX-License-Identifier: Apache-2.0
//
// Columns count bytes. Pure functions, linear in the text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <lutra/core/config.hpp>
#include <lutra/core/types.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// What printed inspections and reports keep to.
inline constexpr std::size_t terminal_columns = 100;

// Left-aligned first column, the others right-aligned; two spaces between.
inline std::string aligned_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width;
  for (const auto& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string pad(width[c] - row[c].size(), ' ');
      line += c == 0 ? row[c] + pad : "  " + pad + row[c];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

// At most `columns` characters: "block.7.attention..out.weight". columns >= 4.
inline std::string shortened(std::string_view text, std::size_t columns) {
  if (text.size() <= columns) return std::string(text);
  const std::size_t kept = columns - 2;
  const std::size_t tail = kept - kept / 2;  // ends tell names apart
  return std::string(text.substr(0, kept / 2)) + ".." +
         std::string(text.substr(text.size() - tail));
}

// The same table in at most `columns` columns: names, in the first, are shortened to what the others leave, but to
// 12 only after the widest others have been.
inline std::string fitted_table(std::vector<std::vector<std::string>> rows,
                                std::size_t columns = terminal_columns) {
  std::vector<std::size_t> width;
  for (const auto& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  }
  if (width.empty()) return "";
  std::size_t total = 2 * (width.size() - 1);
  for (const std::size_t w : width) total += w;
  const auto shrink = [&](std::size_t c, std::size_t least) {
    const std::size_t excess = total > columns ? total - columns : 0;
    const std::size_t by = width[c] > least ? std::min(width[c] - least, excess) : 0;
    width[c] -= by;
    total -= by;
  };
  shrink(0, 12);
  while (total > columns) {
    const auto widest = std::max_element(width.begin() + 1, width.end());
    if (widest == width.end() || *widest <= 6) break;
    shrink(to_size(widest - width.begin()), *widest - 1);
  }
  for (auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) row[c] = shortened(row[c], width[c]);
  }
  return aligned_table(rows);
}

// Words of `text` in lines of at most `columns`, the first behind `first`, the others indented; longer words are cut. A
// `first` that fills a line stands alone; at most half a line is indentation.
inline std::string wrapped(const std::string& first, std::string_view text, std::size_t indent,
                           std::size_t columns = terminal_columns) {
  indent = std::min(indent, columns / 2);
  std::string made, line = first;
  bool fresh = true;  // nothing on the line yet
  const auto flush = [&] {
    line.erase(line.find_last_not_of(' ') + 1);
    made += line + "\n";
    line.assign(indent, ' ');
    fresh = true;
  };
  if (line.size() >= columns) flush();
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    std::string_view word = text.substr(at, end - at);
    at = end + 1;
    const bool fits_alone = indent + word.size() <= columns;
    if (line.size() + (fresh ? 0 : 1) + word.size() > columns && (!fresh || fits_alone)) flush();
    if (!fresh) line += ' ';
    while (line.size() + word.size() > columns) {
      const std::size_t room = columns - line.size();
      line += word.substr(0, room);
      word.remove_prefix(room);
      flush();
    }
    line += word;
    fresh = false;
  }
  flush();
  return made;
}

}  // namespace lutra::inline LUTRA_ABI
