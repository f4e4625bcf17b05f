// What the benchmarks of activations share.
#pragma once

#include <lutra/tensor/view.hpp>

#include "roof.hpp"

namespace bench {

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
