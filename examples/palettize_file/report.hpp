// palettize_file: report.hpp - what happened to every tensor, as a table.
#pragma once

#include <cmath>
#include <cstdio>
#include <lutra/tensor/shape.hpp>
#include <string>
#include <vector>

namespace palettize_file {

enum class outcome { compressed, dense, skipped };

struct record {
  std::string name, dtype;
  lutra::shape extents{0};
  outcome result = outcome::dense;
  std::string reason{};  // why it was left dense or skipped
  lutra::index_t bytes_before = 0;
  lutra::index_t bytes_after = 0;
  lutra::index_t groups = 0;
  int collapsed = 0;  // table entries lost to quantization
  double noise = 0;   // sum of squared errors
  double signal = 0;  // sum of squares
};

inline std::string quality(const record& r) {
  if (r.noise == 0) return "exact";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f dB", 10 * std::log10(r.signal / r.noise));
  return text;
}

inline std::string details(const record& r) {
  if (r.result == outcome::dense) return "dense: " + r.reason;
  if (r.result == outcome::skipped) return "SKIPPED: " + r.reason;
  std::string text = "SNR " + quality(r) + ", tables " + std::to_string(r.groups);
  if (r.collapsed > 0) text += ", collapsed entries " + std::to_string(r.collapsed);
  return text;
}

inline void print_table(const std::vector<record>& records) {
  std::size_t name = 6;
  std::size_t extents = 5;
  for (const record& r : records) {
    name = std::max(name, r.name.size());
    extents = std::max(extents, lutra::text_of(r.extents).size());
  }
  std::printf("%-*s  %-5s  %-*s  %12s  %12s  %8s  %s\n", static_cast<int>(name), "tensor", "dtype",
              static_cast<int>(extents), "shape", "bytes", "after", "bits/w", "result");
  lutra::index_t before = 0;
  lutra::index_t after = 0;
  lutra::index_t weights = 0;
  for (const record& r : records) {
    before += r.bytes_before;
    after += r.bytes_after;
    weights += r.extents.size();
    const double bits = 8.0 * static_cast<double>(r.bytes_after) /
                        static_cast<double>(std::max<lutra::index_t>(r.extents.size(), 1));
    std::printf("%-*s  %-5s  %-*s  %12td  %12td  %8.2f  %s\n", static_cast<int>(name),
                r.name.c_str(), r.dtype.c_str(), static_cast<int>(extents),
                lutra::text_of(r.extents).c_str(), r.bytes_before, r.bytes_after, bits,
                details(r).c_str());
  }
  const double bits =
      8.0 * static_cast<double>(after) / static_cast<double>(std::max<lutra::index_t>(weights, 1));
  std::printf("%-*s  %-5s  %-*s  %12td  %12td  %8.2f  %.2fx smaller\n", static_cast<int>(name),
              "total", "", static_cast<int>(extents), "", before, after, bits,
              after > 0 ? static_cast<double>(before) / static_cast<double>(after) : 1.0);
}

}  // namespace palettize_file
