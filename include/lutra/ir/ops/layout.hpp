// lutra: layout.hpp - flatten, reshape, permute, transpose, concatenation: shapes change, values do not.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <lutra/ir/ops/call.hpp>

namespace lutra::inline LUTRA_ABI::ir {

// Joins axes [start_dim, end_dim] (defaults 1 and -1).
inline shape flattened_shape(const node& n, const shape& in) {
  const int first = axis_of(number(n, "start_dim", 1), in.rank());
  const int last = axis_of(number(n, "end_dim", -1), in.rank());
  if (first > last) {
    raise(errc::invalid_graph, "flatten ends before it starts", {}, text_of(last),
          ">= " + text_of(first));
  }
  std::vector<index_t> extents(in.begin(), in.begin() + first);
  extents.push_back(in.product(first, last + 1));
  extents.insert(extents.end(), in.begin() + last + 1, in.end());
  return shape(std::span<const index_t>(extents));
}

// The literal "shape", in which one -1 stands for whatever is left.
inline shape reshaped_shape(const node& n, const shape& in) {
  const auto it = n.literals.find("shape");
  if (it == n.literals.end()) raise(errc::invalid_graph, "reshape without a shape");
  std::vector<index_t> extents;
  index_t known = 1;
  int open = -1;
  for (const double x : it->second) {
    if (x == -1 && open < 0) {
      open = static_cast<int>(extents.size());
    } else if (!(x >= 0 && x <= 1 << 30) || x != static_cast<double>(static_cast<index_t>(x))) {
      raise(errc::invalid_graph, "extent out of range", {}, text_of(x), "one -1, else 0..2^30");
    } else {
      known = static_cast<index_t>(x) != 0 && known > max_size / static_cast<index_t>(x)
                  ? max_size
                  : known * static_cast<index_t>(x);
    }
    extents.push_back(static_cast<index_t>(x));
  }
  if (open >= 0 && known > 0) extents[to_size(open)] = in.size() / known;
  if (open >= 0 ? known == 0 || in.size() % known != 0 : known != in.size()) {
    bad_shape("element counts differ", text_of(std::span<const index_t>(extents)),
              text_of(in.size()) + " elements");
  }
  return shape(std::span<const index_t>(extents));
}

inline tensor<float> flatten(const call& c) {
  expect_operands(c, 1, 1);
  const float_view& x = c.operand(0);
  return {flattened_shape(c.at, x.extents()), std::vector<float>(x.data(), x.data() + x.size())};
}
inline tensor<float> reshape(const call& c) {
  expect_operands(c, 1, 1);
  const float_view& x = c.operand(0);
  return {reshaped_shape(c.at, x.extents()), std::vector<float>(x.data(), x.data() + x.size())};
}

// Which axis of the input each axis of the result is: the literal "dims" of a permute, "dim0" and "dim1"
// of a transpose.
inline std::vector<int> axis_order(const node& n, int rank) {
  std::vector<int> axes(to_size(rank));
  for (int i = 0; i < rank; ++i) axes[to_size(i)] = i;
  if (n.op == "transpose") {
    const int a = axis_of(number(n, "dim0", -2), rank);
    const int b = axis_of(number(n, "dim1", -1), rank);
    std::swap(axes[to_size(a)], axes[to_size(b)]);
    return axes;
  }
  const auto it = n.literals.find("dims");
  const std::size_t given = it == n.literals.end() ? 0 : it->second.size();
  std::vector<char> seen(axes.size(), 0);
  for (std::size_t i = 0; i < given && given == axes.size(); ++i) {
    axes[i] = axis_of(it->second[i], rank);
    seen[to_size(axes[i])] = 1;
  }
  if (given != axes.size() || std::ranges::count(seen, 0) != 0) {
    raise(errc::invalid_graph, "permute needs every axis of its input once in 'dims'", {},
          given == 0 ? "none" : text_of(std::span<const double>(it->second)),
          text_of(rank) + " axes");
  }
  return axes;
}
// A dense operand with its axes in another order.
template <class T> tensor<T> permuted(const tensor_view<const T>& x, const std::vector<int>& axes) {
  const auto strides = row_major_strides(x.extents());
  std::vector<index_t> extents, steps;
  for (const int a : axes) {
    extents.push_back(x.extent(a));
    steps.push_back(strides[to_size(a)]);
  }
  const tensor_view<const T> turned(x.data(), shape(std::span<const index_t>(extents)),
                                    std::span<const index_t>(steps));
  return tensor<T>::copy_of(turned);
}
inline tensor<float> permute(const call& c) {
  expect_operands(c, 1, 1);
  return permuted<float>(c.operand(0), axis_order(c.at, c.operand(0).rank()));
}

// Dense operands joined along one axis; all other extents agree.
template <class T> tensor<T> joined(std::span<const tensor_view<const T>> operands, int axis) {
  const shape& first = operands[0].extents();
  axis = resolve_axis(axis, first.rank(), "");
  index_t total = 0;
  for (const auto& x : operands) {
    if (x.rank() != first.rank() || !(x.extents().with(axis, first[axis]) == first)) {
      raise(errc::shape_mismatch, "operands differ outside the joined axis", {},
            text_of(x.extents()), text_of(first));
    }
    total += x.extent(axis);
  }
  tensor<T> out(first.with(axis, total));
  const index_t inner = first.product(axis + 1, first.rank());
  const index_t outer = first.product(0, axis);
  index_t at = 0;
  for (const auto& x : operands) {
    const index_t run = x.extent(axis) * inner;
    for (index_t i = 0; i < outer; ++i) {
      std::copy_n(x.data() + i * run, run, out.data() + i * total * inner + at);
    }
    at += run;
  }
  return out;
}
// The literal "dim" names the axis; default 0, as in the reference.
// The rank is not known yet.
inline int concat_axis(const node& n) {
  const double axis = number(n, "dim", 0);
  axis_of(axis, max_rank);
  return static_cast<int>(axis);
}
inline tensor<float> concat(const call& c) {
  expect_operands(c, 1, std::numeric_limits<std::size_t>::max());
  return joined<float>(c.operands, concat_axis(c.at));
}

}  // namespace lutra::inline LUTRA_ABI::ir
