// lutra: report_text.hpp - a compression_report as a table for a terminal.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdio>
#include <lutra/flow/report.hpp>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Left-aligned first column, the others right-aligned; two spaces between.
inline std::string aligned_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width;
  for (const auto& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string pad(width[c] - row[c].size(), ' ');
      const bool last = c + 1 == row.size();
      text += c == 0 ? row[c] + (last ? "" : pad) : "  " + pad + row[c];
    }
    text += "\n";
  }
  return text;
}

// Three tables: weights (what was done, bits, bytes, SQNR), activations (scale, zero point), and what stays
// float with the reason; then the notes.
inline std::string text_of(const compression_report& report) {
  const auto fixed = [](double x, const char* format) {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), format, x);
    return std::string(text.data());
  };
  std::string text;
  if (!report.weights.empty()) {
    std::vector<std::vector<std::string>> rows{
        {"weight", "shape", "bits", "tables", "bytes before", "after", "bits/weight", "SQNR dB"}};
    std::int64_t before = 0;
    std::int64_t after = 0;
    std::string left;
    for (const weight_record& w : report.weights) {
      before += w.bytes_before;
      after += w.bytes_after;
      if (w.status != tensor_status::compressed) {
        left += "  " + w.name + ": " + std::string(name_of(w.status)) + ", " + w.reason + "\n";
        continue;
      }
      rows.push_back({w.name, text_of(w.extents), text_of(w.n_bits), text_of(w.groups),
                      text_of(w.bytes_before), text_of(w.bytes_after),
                      fixed(w.bits_per_weight(), "%.2f"), fixed(w.sqnr_db(), "%.2f")});
    }
    rows.push_back({"all tensors", "", "", "", text_of(before), text_of(after), "", ""});
    text += aligned_table(rows);
    if (!left.empty()) text += "not compressed:\n" + left;
  }
  if (!report.activations.empty()) {
    std::vector<std::vector<std::string>> rows{{"activation", "values", "scale", "zero point"}};
    for (const activation_record& a : report.activations) {
      const bool one = a.scale.size() == 1;
      rows.push_back({a.name, text_of(static_cast<index_t>(a.values.size())),
                      one ? fixed(static_cast<double>(a.scale[0]), "%.6g")
                          : text_of(static_cast<index_t>(a.scale.size())) + " scales",
                      a.zero_point.size() == 1 ? text_of(a.zero_point[0]) : ""});
    }
    text += (text.empty() ? "" : "\n") + aligned_table(rows);
  }
  if (!report.left_float.empty()) {
    text += "stay float:\n";
    for (const float_record& f : report.left_float) text += "  " + f.name + ": " + f.reason + "\n";
  }
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace lutra::inline LUTRA_ABI
