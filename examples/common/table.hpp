// lutra examples: table.hpp - a plain text table, and a progress bar.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <lutra/core/types.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lutra_examples {

// `digits` digits after the point.
inline std::string fixed(double x, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, x);
  return buffer;
}
// 1234567 as 1,234,567.
inline std::string thousands(lutra::index_t n) {
  std::string text = std::to_string(n);
  for (std::size_t i = text.size(); i > 3 && text[i - 4] != '-';) text.insert(i -= 3, 1, ',');
  return text;
}

// Rows of text; the first column is aligned left, the others right.
class table {
 public:
  explicit table(std::vector<std::string> header) { row(std::move(header)); }
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const {
    std::vector<std::size_t> width;
    for (const auto& cells : rows_) {
      width.resize(std::max(width.size(), cells.size()));
      for (std::size_t i = 0; i < cells.size(); ++i) width[i] = std::max(width[i], cells[i].size());
    }
    std::string out;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      std::string line;
      for (std::size_t i = 0; i < rows_[r].size(); ++i) {
        const std::string& cell = rows_[r][i];
        const std::string gap(width[i] - cell.size(), ' ');
        line += i == 0 ? cell + gap : "  " + gap + cell;
      }
      out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
      if (r == 0) out += std::string(line.size(), '-') + "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

// One line on stderr that grows; nothing when stderr is not a terminal.
class progress_bar {
 public:
  explicit progress_bar(std::string title) : title_(std::move(title)) {}
  bool operator()(std::string_view, lutra::index_t done, lutra::index_t total) const {
    if (::isatty(STDERR_FILENO) == 0 || total <= 0) return true;
    constexpr lutra::index_t width = 40;
    const auto filled = static_cast<std::size_t>(done * width / total);
    std::string bar(filled, '#');
    bar.resize(width, '.');
    std::fprintf(stderr, "\r%s [%s] %td/%td%s", title_.c_str(), bar.c_str(), done, total,
                 done == total ? "\n" : "");
    return true;
  }

 private:
  std::string title_;
};

}  // namespace lutra_examples
