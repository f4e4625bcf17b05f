#include <lutra/cluster/line_polish.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

namespace {

using lutra::index_t;

double total(const lutra::line& l, const std::vector<index_t>& starts) {
  double sum = 0;
  for (std::size_t c = 0; c < starts.size(); ++c) {
    sum += l.cost(starts[c], c + 1 < starts.size() ? starts[c + 1] : l.size());
  }
  return sum;
}

TEST_CASE("line_polish: never dearer, clusters stay, the returned cost is that of the clusters") {
  lutra::random_stream random(4);
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t n = 4 + random.below(60);
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back((x.empty() ? 0.0 : x.back()) + 0.01 + random.uniform() * random.uniform());
      w.push_back(static_cast<double>(1 + random.below(5)));
    }
    const lutra::line l = lutra::line_of_points(x, w);
    const std::size_t k = 2 + random.below(3);
    std::vector<index_t> starts(k);
    for (std::size_t c = 0; c < k; ++c) starts[c] = static_cast<index_t>(c);  // far from good
    double before = total(l, starts);
    CHECK(lutra::polish(l, starts, 0) == before);
    for (int step = 0; step < 30; ++step) {
      const double after = lutra::polish(l, starts, 1);
      CHECK(after <= before);
      CHECK(after == total(l, starts));
      CHECK(starts[0] == 0);
      CHECK(std::is_sorted(starts.begin(), starts.end(), std::less_equal<>()));
      CHECK(starts.back() < l.size());
      before = after;
    }
  }
}

TEST_CASE("line_polish: finds two clusters that are far apart") {
  const std::vector<double> x = {0, 1, 2, 3, 100, 101, 102};
  const std::vector<double> w(7, 1.0);
  const lutra::line l = lutra::line_of_points(x, w);
  std::vector<index_t> starts = {0, 1};
  CHECK(lutra::polish(l, starts, 10) == doctest::Approx(5 + 2));
  CHECK(starts == std::vector<index_t>{0, 4});
}

}  // namespace
