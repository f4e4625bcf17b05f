// plan() of graphs that grow: a chain of fused layers, and a ladder in which every rung joins two branches, so that
// there are 2^rungs paths. Time per node should not grow with their number.
#include <benchmark/benchmark.h>

#include <array>
#include <lutra/graph/plan.hpp>
#include <string>
#include <vector>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

using lutra::index_t;

// Values 0 and 1 are the input and a weight; node n makes value n + 2.
struct flat_graph {
  std::vector<const char*> op;
  std::vector<std::vector<index_t>> operands;

  index_t add(const char* type, std::vector<index_t> reads) {
    op.push_back(type);
    operands.push_back(std::move(reads));
    return static_cast<index_t>(op.size()) + 1;
  }
};

}  // namespace

template <> struct lutra::graph_traits<flat_graph> {
  using node_id = index_t;
  using value_id = index_t;
  static std::vector<index_t> nodes(const flat_graph& g) {
    std::vector<index_t> ids(g.op.size());
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<index_t>(i);
    return ids;
  }
  static std::string_view op_type(const flat_graph& g, index_t n) { return g.op[to_size(n)]; }
  static const std::vector<index_t>& operands(const flat_graph& g, index_t n) {
    return g.operands[to_size(n)];
  }
  static std::array<index_t, 1> results(const flat_graph&, index_t n) { return {n + 2}; }
  static std::array<index_t, 1> outputs(const flat_graph& g) {
    return {static_cast<index_t>(g.op.size()) + 1};
  }
  static value_role role_of(const flat_graph&, index_t v) {
    return v == 0 ? value_role::graph_input : v == 1 ? value_role::state : value_role::result;
  }
  static bool is_float(const flat_graph&, index_t) { return true; }
};

namespace {

flat_graph chain(index_t nodes) {
  flat_graph g;
  index_t x = 0;
  while (static_cast<index_t>(g.op.size()) + 4 <= nodes) {
    x = g.add("conv2d", {x, 1});
    x = g.add("batch_norm", {x});
    x = g.add("relu", {x});
    x = g.add("max_pool2d", {x});
  }
  return g;
}
flat_graph ladder(index_t nodes) {
  flat_graph g;
  index_t x = 0;
  while (static_cast<index_t>(g.op.size()) + 3 <= nodes) {
    const index_t left = g.add("relu", {x});
    const index_t right = g.add("max_pool2d", {x});
    x = g.add("add", {left, right});
  }
  return g;
}

// glibc gives the pages of large arrays back after each plan, those of small ones only if no larger ones were freed
// before: what one size costs would depend on what ran first. So all keep them.
void keep_pages() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

void run(benchmark::State& state, const std::string& name, flat_graph (*make)(index_t)) {
  keep_pages();
  const flat_graph g = make(state.range(0));
  const auto places = [&] { return static_cast<index_t>(lutra::plan(g).places.size()); };
  if (places() < state.range(0) / 4) state.SkipWithError("fewer fake-quantizers than expected");
  for (auto _ : state) benchmark::DoNotOptimize(places());
  state.SetItemsProcessed(state.iterations() * state.range(0));
  if (state.range(0) > 10000) state.SetLabel("vs graph/plan/" + name + "/nodes:10000");
}

void plan_chain(benchmark::State& state) { run(state, "chain", chain); }
void plan_ladder(benchmark::State& state) { run(state, "ladder", ladder); }

BENCHMARK(plan_chain)
    ->Name("graph/plan/chain")
    ->ArgName("nodes")
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(100000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(plan_ladder)
    ->Name("graph/plan/ladder")
    ->ArgName("nodes")
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(100000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
