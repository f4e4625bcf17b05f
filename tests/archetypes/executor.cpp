// The poorest executor: move only, no default construction.
#include <doctest/doctest.h>
#include <lutra/core/executor.hpp>
#include <lutra/flow/palettizer.hpp>

#include "graph/toy_graph.hpp"

namespace {
class poor_executor {
 public:
  explicit poor_executor(int) {}
  poor_executor(poor_executor&&) = default;
  poor_executor& operator=(poor_executor&&) = delete;
  template <class F> void bulk(lutra::index_t n, F f) const {
    for (lutra::index_t i = n; i-- > 0;) f(i);
  }
};
static_assert(lutra::executor<poor_executor>);
}  // namespace

TEST_CASE("archetypes: the poorest executor runs palettize and the palettizer") {
  const std::vector<float> w{0, 0, 4, 4, 1, 1, 9, 9};
  const lutra::palettization_spec spec{
      .n_bits = 1, .granularity = lutra::granularity::per_grouped_channel(4, 0)};
  const auto p = lutra::palettize(w, spec, {}, poor_executor(1));
  CHECK(p.lut == std::vector<float>{0, 4, 1, 9});
  toy::graph g;
  const int x = g.input();
  const int state = g.state("l.weight", lutra::tensor<float>({2, 2}, {0, 1, 2, 3}));
  g.outputs = {g.op("linear", {x, state}, "l")};
  lutra::kmeans_palettizer palettizer(g, {}, {}, poor_executor(1));
  palettizer.prepare();
  CHECK(palettizer.finalize().weights.size() == 1);
}
