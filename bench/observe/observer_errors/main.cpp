// Mean squared errors of quantizing eight distributions of activations with the ranges of five observers, beside
// those of torch's HistogramObserver (reimplemented, bit for bit) and the best of 10^4 ranges.
//
//   observer_errors [ELEMENTS]      100000 unless told (fewer say more about chance than about ranges)
//
// Fails if "histogram_mse" is worse than torch's or more than 1 % worse than the best, in any cell.
#include <cstdio>
#include <cstdlib>

#include "observe/cells.hpp"

namespace {

bool print(const distribution& d, lutra::dtype type, lutra::qscheme scheme, lutra::index_t n) {
  const cell c = cell_of(d, {.dtype = type, .qscheme = scheme}, n, 41, 10'000);
  std::printf("| %-24s | %-4s | %-4s |", std::string(d.name).c_str(),
              std::string(lutra::name_of(type)).c_str(),
              scheme == lutra::qscheme::symmetric ? "sym" : "asym");
  for (const double e : c.ours) std::printf(" %9.3e |", e);
  const double mse = c.ours[mse_column];
  const bool good = mse <= c.torch_1_13 && mse <= c.torch_2 && mse <= 1.01 * c.best;
  std::printf(" %9.3e | %9.3e | %9.3e | %.4f |%s\n", c.torch_1_13, c.torch_2, c.best, mse / c.best,
              good ? "" : " MISSED");
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  const lutra::index_t n = argc > 1 ? std::atoll(argv[1]) : 100'000;
  if (n < 4) {
    std::fprintf(stderr, "usage: observer_errors [ELEMENTS], at least 4\n");
    return 2;
  }
  std::printf("| distribution | dtype | scheme |");
  for (const std::string_view key : compared_observers)
    std::printf(" %s |", std::string(key).c_str());
  std::printf(" torch 1.13.1 | torch 2.1 | best of 10^4 | mse / best |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  bool good = true;
  for (const distribution& d : distributions) {
    for (const auto type : {lutra::dtype::int8, lutra::dtype::int4}) {
      for (const auto scheme : {lutra::qscheme::symmetric, lutra::qscheme::asymmetric}) {
        good = print(d, type, scheme, n) && good;
      }
    }
  }
  return good ? 0 : 1;
}
