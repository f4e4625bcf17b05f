// Normal data for the benchmarks of activations.
#pragma once

#include <lutra/core/random.hpp>
#include <lutra/tensor/view.hpp>

#include "roof.hpp"

namespace bench {

inline aligned<float> normal(index_t n, std::uint64_t seed = 1) {
  aligned<float> x(n);
  lutra::random_stream r(seed);
  const index_t period = std::min<index_t>(n, 1 << 18);
  for (index_t i = 0; i < period; ++i) x[i] = static_cast<float>(r.normal());
  for (index_t i = period; i < n; ++i) x[i] = x[i - period];
  return x;
}
inline lutra::tensor_view<const float> view_of(const aligned<float>& x,
                                               const lutra::shape& extents) {
  return {x.data(), extents};
}

// Registers f(state), which is set against the references of `label` ("vs ...") in the ratio table.
template <class F> void add(const std::string& name, const std::string& label, F f) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    if (!label.empty()) state.SetLabel(label);
    f(state);
  });
}

}  // namespace bench
