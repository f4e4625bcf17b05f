// lutra: call.hpp - what an operation of the float interpreter sees: its node and its operands.
// SPDX-License-Identifier: Apache-2.0
//
// Operands are dense, row-major float tensors. Every shape rule that an operation has is checked here
// or in the operation before it computes; whoever runs it names the node (node_place).
#pragma once

#include <lutra/ir/verify.hpp>
#include <span>

namespace lutra::inline LUTRA_ABI::ir {

using float_view = tensor_view<const float>;

struct call {
  const node& at;
  std::span<const float_view> operands;
  std::span<const float> prepared;  // what the operation's prepare() made of its constant weight
  bool training = false;            // graph::training

  const float_view& operand(std::size_t i) const { return operands[i]; }
  bool has(std::size_t i) const { return i < operands.size(); }
};

[[noreturn]] inline void bad_shape(const char* what, std::string value, std::string allowed = {}) {
  raise(errc::shape_mismatch, what, {}, std::move(value), std::move(allowed));
}

inline void expect_operands(const call& c, std::size_t least, std::size_t most) {
  if (c.operands.size() >= least && c.operands.size() <= most) return;
  raise(errc::invalid_graph, "wrong number of operands", {}, text_of(c.operands.size()),
        range_text(least, most));
}
inline void expect_rank(const call& c, std::size_t operand, int rank) {
  if (c.operand(operand).rank() == rank) return;
  bad_shape("operand has the wrong rank", text_of(c.operand(operand).extents()),
            "rank " + text_of(rank));
}
// A per-channel parameter (bias, batch norm statistics): one value per channel.
inline void expect_channels(const call& c, std::size_t operand, index_t channels) {
  const shape& s = c.operand(operand).extents();
  if (s.rank() == 1 && s[0] == channels) return;
  bad_shape("per-channel operand does not fit", text_of(s), "[" + text_of(channels) + "]");
}

// Integer literals of a node, `count` of them; one number stands for all. Absent: `fallback`.
inline std::vector<index_t> integers(const node& n, const char* key, std::size_t count,
                                     index_t fallback, index_t least) {
  const auto it = n.literals.find(key);
  if (it == n.literals.end()) return std::vector<index_t>(count, fallback);
  const std::vector<double>& given = it->second;
  if (given.size() != count && given.size() != 1) {
    raise(errc::invalid_graph, "wrong number of values in literal " + text_of(key), {},
          text_of(given.size()), text_of(count));
  }
  std::vector<index_t> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double x = given[given.size() == 1 ? 0 : i];
    constexpr double most = 1 << 30;  // far above any extent, far below overflow
    if (!(x >= static_cast<double>(least) && x <= most) ||
        x != static_cast<double>(static_cast<index_t>(x))) {
      raise(errc::invalid_graph, "literal " + text_of(key) + " out of range", {}, text_of(x),
            "an integer in " + range_text(static_cast<double>(least), most));
    }
    out[i] = static_cast<index_t>(x);
  }
  return out;
}
inline index_t integer(const node& n, const char* key, index_t fallback, index_t least) {
  return integers(n, key, 1, fallback, least)[0];
}
inline double number(const node& n, const char* key, double fallback) {
  const auto it = n.literals.find(key);
  return it == n.literals.end() || it->second.empty() ? fallback : it->second.front();
}
// A literal that names an axis of a tensor of this rank, from behind if negative.
inline int axis_of(double x, int rank) {
  if (!(x >= -rank && x < rank) || x != static_cast<double>(static_cast<int>(x))) {
    raise(errc::invalid_argument, "axis out of bounds", {}, text_of(x),
          range_text(-rank, rank - 1));
  }
  return static_cast<int>(x) + (x < 0 ? rank : 0);
}

}  // namespace lutra::inline LUTRA_ABI::ir
