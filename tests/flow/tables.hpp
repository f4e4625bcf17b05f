// Layer tables and their best choices by brute force, for the tests of flow/.
#pragma once

#include <lutra/core/random.hpp>
#include <lutra/flow/layer_table.hpp>

namespace test {

inline lutra::layer_choices row_of(const std::string& name,
                                   std::vector<std::pair<std::int64_t, double>> cells) {
  lutra::layer_choices row{name, 100, {}};
  int bits = 1;
  for (const auto& [bytes, error] : cells) {
    row.choices.push_back({{.n_bits = bits++}, bytes, error});
  }
  return row;
}

// Small whole numbers: sums are exact, ties are common.
inline lutra::layer_table random_table(std::uint64_t seed, int rows, int most_choices) {
  lutra::random_stream random(seed);
  lutra::layer_table table;
  for (int r = 0; r < rows; ++r) {
    std::vector<std::pair<std::int64_t, double>> cells;
    const auto n = 1 + random.below(static_cast<std::uint64_t>(most_choices));
    for (std::uint64_t c = 0; c < n; ++c) {
      cells.emplace_back(random.below(30), static_cast<double>(random.below(40)));
    }
    table.push_back(row_of("w" + std::to_string(r), cells));
  }
  return table;
}

// Weights of networks: bytes grow with the width, errors fall by about four.
inline lutra::layer_table network_table(std::uint64_t seed, int rows, int widths = 8) {
  lutra::random_stream random(seed);
  lutra::layer_table table;
  for (int r = 0; r < rows; ++r) {
    const auto elements = static_cast<std::int64_t>(100 + random.below(50000));
    double error = 1 + 100 * random.uniform();
    std::vector<std::pair<std::int64_t, double>> cells;
    for (int b = 1; b <= widths; ++b) {
      cells.emplace_back((elements * b + 7) / 8 + (std::int64_t{1} << b) + 4, error);
      error *= 0.2 + 0.2 * random.uniform();
    }
    table.push_back(row_of("w" + std::to_string(r), cells));
  }
  return table;
}

// Least error, then fewest bytes, of every choice within the target; bytes -1 if there is none.
inline lutra::table_cost best_by_trying(const lutra::layer_table& table, std::int64_t target) {
  lutra::table_cost best{-1, 0};
  std::vector<lutra::index_t> choice(table.size(), 0);
  for (;;) {
    const lutra::table_cost cost = cost_of(table, choice);
    const bool better = best.bytes < 0 || cost.error < best.error ||
                        (cost.error == best.error && cost.bytes < best.bytes);
    if (cost.bytes <= target && better) best = cost;
    std::size_t r = 0;
    while (r < table.size() &&
           ++choice[r] == static_cast<lutra::index_t>(table[r].choices.size())) {
      choice[r++] = 0;
    }
    if (r == table.size()) return best;
  }
}

}  // namespace test
