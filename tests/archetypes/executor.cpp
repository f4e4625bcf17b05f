// The poorest executor: move only, no default construction, does not say whether it is serial.
#include <doctest/doctest.h>
#include <lutra/core/executor.hpp>
#include <lutra/core/executor_ref.hpp>
#include <lutra/flow/palettizer.hpp>
#include <lutra/runtime/gemm.hpp>

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
template <class E>
concept says_whether_serial = requires(const E& e) {
  e.is_serial();
};
static_assert(!says_whether_serial<poor_executor>);
static_assert(says_whether_serial<lutra::executor_ref>);  // for any, as below
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

TEST_CASE("archetypes: the poorest executor runs kernels that ask whether it is serial") {
  lutra::random_stream random(3);
  lutra::tensor<float> weight(lutra::shape{70, 96});
  for (float& e : weight.elements()) e = static_cast<float>(random.normal());
  const lutra::palettization_spec spec{.n_bits = 4,
                                       .lut_qspec = lutra::int8_symmetric_with_clipping};
  const poor_executor poor(1);
  CHECK_FALSE(lutra::is_serial(poor));
  CHECK_FALSE(lutra::is_serial(lutra::executor_ref(poor)));
  const auto p = lutra::palettize(weight, spec, {}, poor);
  CHECK(p.lut == lutra::palettize(weight, spec).lut);
  const lutra::lut_matrix w = lutra::make_lut_matrix(lutra::pack(p));
  lutra::tensor<std::int8_t> x(lutra::shape{9, 96});
  for (std::int8_t& e : x.elements()) e = static_cast<std::int8_t>(random.below(255) - 127);
  lutra::tensor<std::int32_t> out(lutra::shape{9, 70}), expected(lutra::shape{9, 70});
  lutra::gemm(poor, w, x, out);
  lutra::gemm(w, x, expected);
  CHECK(out == expected);
}
