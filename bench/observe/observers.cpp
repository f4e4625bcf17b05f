// Statistics and histograms from memory, searches on a histogram, and merging; against torch's and ONNX
// Runtime's where bench/peers/torch_observers.py ran in the same run. Answers are checked before timing.
#include <cmath>
#include <lutra/observe/histogram_observer.hpp>
#include <lutra/observe/range/ort_entropy.hpp>
#include <lutra/observe/statistics.hpp>
#include <lutra/observe/torch_histogram.hpp>

#include "observe/data.hpp"

namespace {

using namespace lutra;
using bench::aligned;

constexpr index_t elements = bench::large.bytes / 4;

void statistics_from_memory(benchmark::State& state) {
  bench::in_turn<float>& inputs = bench::normals_in_turn(elements);
  const aligned<float>& x = inputs.first();
  double sum = 0;
  float lo = x[0];
  for (index_t i = 0; i < elements; ++i) {
    sum += static_cast<double>(x[i]);
    lo = std::min(lo, x[i]);
  }
  statistics s;
  s.observe(bench::view_of(x, {elements}));
  const moments& m = s.unit(0);
  if (m.min != lo || std::abs(m.sum.value() - sum) > 1e-6 || m.finite != elements) {
    return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    s.reset();
    s.observe(bench::view_of(inputs.next(), {elements}));
    benchmark::DoNotOptimize(s.unit(0).min);
  }
  state.SetBytesProcessed(state.iterations() * elements * 4);
  state.SetItemsProcessed(state.iterations() * elements);
}

void histogram_from_memory(benchmark::State& state) {
  bench::in_turn<float>& inputs = bench::normals_in_turn(elements);
  const aligned<float>& x = inputs.first();
  histogram h;
  h.add(x.data(), elements);
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(h.bins()));
  for (index_t i = 0; i < elements; ++i) {
    ++counts[static_cast<std::size_t>(lattice_index(x[i], h.lattice().exponent) -
                                      h.lattice().first)];
  }
  if (!std::ranges::equal(counts, h.counts())) return state.SkipWithError("wrong answer");
  for (auto _ : state) {
    histogram fresh;
    fresh.add(inputs.next().data(), elements);
    benchmark::DoNotOptimize(fresh.finite());
  }
  state.SetBytesProcessed(state.iterations() * elements * 4);
  state.SetItemsProcessed(state.iterations() * elements);
}

histogram of_normal(std::uint64_t seed) {
  const aligned<float> x = bench::normal(1 << 20, seed);
  histogram h;
  h.add(x.data(), x.size());
  return h;
}
template <class Selection>
void select(benchmark::State& state, const Selection& selection, const quantization_spec& spec) {
  const histogram h = of_normal(2);
  const value_range r = selection(h, spec);
  if (!(r.lo < -1.0F && r.hi > 1.0F && r.hi <= h.max() && r.lo >= h.min())) {
    return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) benchmark::DoNotOptimize(selection(h, spec));
  state.SetItemsProcessed(state.iterations() * h.bins());
}

// onnxruntime's histogram: 2048 bins over [-largest, largest].
void ort_threshold(benchmark::State& state) {
  const aligned<float> x = bench::normal(1 << 20, 3);
  float largest = 0;
  for (index_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i]));
  std::vector<std::int64_t> counts(2048);
  for (index_t i = 0; i < x.size(); ++i) {
    const auto at = static_cast<std::size_t>((x[i] + largest) / (2.0F * largest) * 2048.0F);
    ++counts[std::min<std::size_t>(at, 2047)];
  }
  ort_entropy check(counts, 128);
  const std::int64_t best = check.best_half();
  for (std::int64_t i = 64; i <= 1024; ++i) {
    if (check.divergence(i) < check.divergence(best)) return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) benchmark::DoNotOptimize(ort_entropy(counts, 128).best_half());
  state.SetItemsProcessed(state.iterations() * 2048);
}
void torch_threshold(benchmark::State& state) {
  const aligned<float> x = bench::normal(1 << 20, 2);
  torch_histogram o({});
  o.observe(bench::view_of(x, {x.size()}));
  for (auto _ : state) benchmark::DoNotOptimize(torch_search(o.bins()).ends());
  state.SetItemsProcessed(state.iterations() * 2048);
}

void merge(benchmark::State& state) {
  const histogram a = of_normal(4);
  const histogram b = of_normal(5);
  histogram ab = a;
  ab.merge(b);
  histogram ba = b;
  ba.merge(a);
  if (!(ab == ba) || ab.finite() != a.finite() + b.finite()) {
    return state.SkipWithError("wrong answer");
  }
  histogram sum = ab;  // covers both: merging moves counts, no memory
  for (auto _ : state) {
    sum.merge(b);
    benchmark::DoNotOptimize(sum.finite());
  }
  state.SetItemsProcessed(state.iterations() * a.bins());
}

const bool registered = [] {
  bench::add_roofs();
  bench::add("observe/statistics/f32/64MiB", "vs roof/read/64MiB peer/torch/aminmax/f32/64MiB",
             statistics_from_memory);
  bench::add(
      "observe/histogram2048/f32/64MiB",
      "vs roof/read/64MiB peer/torch/histc2048/f32/64MiB peer/torch/HistogramObserver/f32/64MiB",
      histogram_from_memory);
  const std::string torch_search = "vs peer/torch/HistogramObserver/calculate_qparams/2048";
  const std::string ort = "vs peer/onnxruntime/entropy/2048";
  bench::add("range/percentile/2048", "",
             [](benchmark::State& s) { select(s, percentile_range{}, {}); });
  bench::add("range/mse/2048", torch_search,
             [](benchmark::State& s) { select(s, mse_range{}, {}); });
  bench::add("range/mse_asymmetric/2048", torch_search,
             [](benchmark::State& s) { select(s, mse_range{}, {.qscheme = qscheme::asymmetric}); });
  bench::add("range/entropy/2048", ort,
             [](benchmark::State& s) { select(s, entropy_range{}, {}); });
  bench::add("range/ort_entropy/2048", ort, ort_threshold);
  bench::add("range/torch_mse/2048", torch_search, torch_threshold);
  bench::add("observe/merge/histogram2048", "", merge);
  return true;
}();

}  // namespace
