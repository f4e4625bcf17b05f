// Helpers of the IR tests: random tensors, and one operation run on its own.
#pragma once

#include <lutra/core/random.hpp>
#include <lutra/ir/ops/registry.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "errors.hpp"

namespace test {

inline lutra::tensor<float> random_tensor(const lutra::shape& extents, std::uint64_t seed) {
  lutra::random_stream random(seed);
  lutra::tensor<float> x(extents);
  for (float& e : x.elements()) e = static_cast<float>(random.normal());
  return x;
}

// A node named "n" of type `op`.
inline lutra::ir::node node_of(std::string op,
                               std::map<std::string, std::vector<double>> literals = {}) {
  return {.op = std::move(op), .name = "n", .literals = std::move(literals)};
}

// A literal with one number per axis.
template <std::size_t N> std::vector<double> attribute(const std::array<lutra::index_t, N>& p) {
  return {p.begin(), p.end()};
}

inline lutra::tensor<float> run_op(const lutra::ir::node& n,
                                   const std::vector<lutra::tensor<float>>& operands) {
  std::vector<lutra::ir::float_view> views;
  for (const auto& x : operands) views.push_back(lutra::view(x));
  const lutra::ir::operation* op = lutra::ir::find_operation(n.op);
  REQUIRE(op != nullptr);
  const lutra::ir::node_place here(n);  // as the interpreter does
  return op->run({n, views, {}});
}

inline bool same_bits(const lutra::tensor<float>& a, const lutra::tensor<float>& b) {
  return a.extents() == b.extents() &&
         (a.size() == 0 ||
          std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0);
}

}  // namespace test
