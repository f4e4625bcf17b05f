// lutra: step_passes.hpp - what is done to the steps of an integer program once all of them are there.
// SPDX-License-Identifier: Apache-2.0
//
// Values are numbers; a step comes after those that make what it reads. Linear. Pure functions; thread-safe.
#pragma once

#include <lutra/ir/integer.hpp>
#include <unordered_map>

namespace lutra::inline LUTRA_ABI::ir {

// One that convolutions can do within their own step.
inline bool is_pool_of_blocks(const integer_operation& operation) {
  const auto* pool = std::get_if<integer_max_pool>(&operation);
  return pool != nullptr && pool->axes == 2 && pool->adaptive == std::array<index_t, 2>{0, 0} &&
         pool->options.kernel == std::array<index_t, 2>{2, 2} &&
         pool->options.window == window2d{.stride = {2, 2}};
}

// A 2 x 2 max pool of a convolution that nothing else reads becomes part of its step, which keeps the name of the
// convolution. `output` is the value that the program returns.
inline void fuse_pools(std::vector<integer_step>& steps, index_t output) {
  std::unordered_map<index_t, index_t> uses{{output, 1}};
  for (const integer_step& s : steps) {
    for (const index_t v : s.operands) ++uses[v];
  }
  std::unordered_map<index_t, integer_step*> convolutions;  // by result
  const auto fused = [&](const integer_step& s) {
    if (!is_pool_of_blocks(s.operation) || uses[s.operands[0]] != 1) return false;
    const auto it = convolutions.find(s.operands[0]);
    if (it == convolutions.end()) return false;
    std::get<integer_conv>(it->second->operation).options.pool = true;
    it->second->result = s.result;
    return true;
  };
  std::vector<bool> gone;
  for (integer_step& s : steps) {
    const auto* conv = std::get_if<integer_conv>(&s.operation);
    if (conv != nullptr && conv->axes == 2 && !conv->activated) convolutions.emplace(s.result, &s);
    gone.push_back(fused(s));
  }
  std::size_t at = 0;
  std::erase_if(steps, [&](const integer_step&) { return gone[at++]; });
}

// Of each of so many values, the step after which it is not needed: -1 for the output, which is, and for what no step
// reads.
inline std::vector<index_t> last_uses(const std::vector<integer_step>& steps, index_t output,
                                      index_t values) {
  std::vector<index_t> last(to_size(values), -1);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const index_t v : steps[i].operands) last[to_size(v)] = static_cast<index_t>(i);
  }
  last[to_size(output)] = -1;
  return last;
}

}  // namespace lutra::inline LUTRA_ABI::ir
