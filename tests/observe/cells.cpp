#include "observe/cells.hpp"
#include "quick.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

// The table that the program bench/observe/observer_errors prints, with fewer elements and ranges (all 10^4: range/mse.cpp).
TEST_CASE("cells: the mse observer is as good as torch's and within 1 % of the best range") {
  const bool quick = test::quick();
  for (const distribution& d : distributions) {
    for (const auto type : {lutra::dtype::int8, lutra::dtype::int4}) {
      for (const auto scheme : {lutra::qscheme::symmetric, lutra::qscheme::asymmetric}) {
        const cell c =
            cell_of(d, {.dtype = type, .qscheme = scheme}, 40'000, 31, quick ? 50 : 1000);
        CAPTURE(d.name);
        CAPTURE(lutra::name_of(type));
        CAPTURE(lutra::name_of(scheme));
        CAPTURE(c.best);
        const double mse = c.ours[mse_column];
        CHECK(mse <= c.torch_1_13);
        CHECK(mse <= c.torch_2);
        CHECK(mse <= 1.01 * c.best);
      }
    }
  }
}
