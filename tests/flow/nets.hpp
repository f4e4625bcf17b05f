// Graphs and data for the tests of flow/.
#pragma once

#include <doctest/doctest.h>
#include <lutra/core/random.hpp>

#include "graph/toy_graph.hpp"

inline lutra::tensor<float> random_tensor(const lutra::shape& extents, std::uint64_t seed) {
  lutra::random_stream random(seed);
  lutra::tensor<float> t(extents);
  for (float& x : t.elements()) x = static_cast<float>(random.normal());
  return t;
}

// linear -> relu -> max_pool2d (which only copies here) -> flatten -> linear
struct small_net : toy::graph {
  int x, w1, l1, r, pool, flat, w2, bias, l2;
  small_net() {
    x = input();
    w1 = state("fc1.weight", random_tensor({6, 5}, 1));
    bias = state("fc1.bias", random_tensor({6}, 2));
    l1 = op("linear", {x, w1, bias}, "fc1");
    r = op("relu", {l1});
    pool = op("max_pool2d", {r});
    flat = op("flatten", {pool});
    w2 = state("fc2.weight", random_tensor({4, 6}, 3));
    l2 = op("linear", {flat, w2}, "fc2");
    outputs = {l2};
  }
};
inline lutra::tensor<float> batch(std::uint64_t seed) { return random_tensor({3, 5}, 100 + seed); }

template <class F> lutra::error error_of(F&& f) {
  try {
    f();
  } catch (const lutra::error& e) {
    return e;
  }
  FAIL("no error");
  return lutra::error(lutra::errc::io_error, "", "", "", "");
}

// Whether the switches of all fake-quantizers stand so.
template <class FakeQuantizers>
bool all(const FakeQuantizers& fqs, bool observer, bool fake_quant) {
  for (const auto& fq : fqs) {
    if (fq.observer_enabled() != observer || fq.fake_quant_enabled() != fake_quant) return false;
  }
  return true;
}
