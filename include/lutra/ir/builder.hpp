// lutra: builder.hpp - writes an ir::graph down, one call per operation.
// SPDX-License-Identifier: Apache-2.0
//
//   ir::builder b;
//   const auto x = b.input("input");
//   const auto w = b.state("conv1.weight", weight);
//   b.output(b.relu(b.conv2d(x, w, b.state("conv1.bias", bias), {.padding = {1, 1}})));
//   const ir::graph g = std::move(b).build();
//
// Nodes are named by their op type, then _1, _2, ... per repeat, as tracers do. Shapes are checked
// when the graph runs, because a graph does not know its batch size.
// One builder belongs to one thread.
#pragma once

#include <array>
#include <lutra/ir/verify.hpp>
#include <utility>

namespace lutra::inline LUTRA_ABI::ir {

using extent_pair = std::array<index_t, 2>;  // height, width

struct conv2d_options {
  extent_pair stride{1, 1};
  extent_pair padding{0, 0};
  extent_pair dilation{1, 1};
  index_t groups = 1;
};
struct conv_transpose2d_options {
  extent_pair stride{1, 1};
  extent_pair padding{0, 0};
  extent_pair output_padding{0, 0};
  extent_pair dilation{1, 1};
  index_t groups = 1;
};
struct conv1d_options {
  index_t stride = 1;
  index_t padding = 0;
  index_t dilation = 1;
  index_t groups = 1;
};
struct pool2d_options {
  extent_pair kernel{2, 2};
  extent_pair stride{0, 0};  // 0: the kernel's extent
  extent_pair padding{0, 0};
};
using literal_map = std::map<std::string, std::vector<double>>;

class builder {
 public:
  value_id input(std::string name, bool is_float = true) {
    const value_id v =
        add({.name = std::move(name), .role = value_role::graph_input, .is_float = is_float});
    graph_.inputs.push_back(v);
    return v;
  }
  // A stored tensor; `name` is its full dotted name.
  value_id state(std::string name, tensor<float> data) {
    return add({.name = std::move(name), .role = value_role::state, .data = std::move(data)});
  }
  void output(value_id v) { graph_.outputs.push_back(v); }

  // Operations that follow belong to the module at `path` ("" is the root), of type `type`.
  void module(std::string path, std::string type = {}) {
    if (!type.empty()) graph_.module_types[path] = std::move(type);
    module_path_ = std::move(path);
  }

  value_id conv2d(value_id x, value_id w, std::optional<value_id> bias = {},
                  conv2d_options o = {}) {
    return apply("conv2d", with(x, w, bias),
                 {{"stride", numbers(o.stride)},
                  {"padding", numbers(o.padding)},
                  {"dilation", numbers(o.dilation)},
                  {"groups", {static_cast<double>(o.groups)}}});
  }
  value_id conv_transpose2d(value_id x, value_id w, std::optional<value_id> bias = {},
                            conv_transpose2d_options o = {}) {
    return apply("conv_transpose2d", with(x, w, bias),
                 {{"stride", numbers(o.stride)},
                  {"padding", numbers(o.padding)},
                  {"output_padding", numbers(o.output_padding)},
                  {"dilation", numbers(o.dilation)},
                  {"groups", {static_cast<double>(o.groups)}}});
  }
  value_id conv1d(value_id x, value_id w, std::optional<value_id> bias = {},
                  conv1d_options o = {}) {
    return apply("conv1d", with(x, w, bias),
                 {{"stride", {static_cast<double>(o.stride)}},
                  {"padding", {static_cast<double>(o.padding)}},
                  {"dilation", {static_cast<double>(o.dilation)}},
                  {"groups", {static_cast<double>(o.groups)}}});
  }
  value_id linear(value_id x, value_id w, std::optional<value_id> bias = {}) {
    return apply("linear", with(x, w, bias));
  }
  value_id batch_norm(value_id x, value_id weight, value_id bias, value_id mean, value_id variance,
                      double eps = 1e-5) {
    return apply("batch_norm", {x, weight, bias, mean, variance}, {{"eps", {eps}}});
  }
  // Without affine parameters: weight 1, bias 0.
  value_id batch_norm(value_id x, value_id mean, value_id variance, double eps = 1e-5) {
    return apply("batch_norm", {x, mean, variance}, {{"eps", {eps}}});
  }
  value_id matmul(value_id a, value_id b) { return apply("matmul", {a, b}); }
  value_id embedding(value_id weight, value_id indices) {
    return apply("embedding", {weight, indices});
  }
  value_id add(value_id a, value_id b) { return apply("add", {a, b}); }
  value_id sub(value_id a, value_id b) { return apply("sub", {a, b}); }
  value_id mul(value_id a, value_id b) { return apply("mul", {a, b}); }
  value_id div(value_id a, value_id b) { return apply("div", {a, b}); }
  value_id relu(value_id x) { return apply("relu", {x}); }
  value_id relu6(value_id x) { return apply("relu6", {x}); }
  value_id max_pool2d(value_id x, pool2d_options o = {}) { return pool("max_pool2d", x, o); }
  value_id avg_pool2d(value_id x, pool2d_options o = {}) { return pool("avg_pool2d", x, o); }
  value_id adaptive_avg_pool2d(value_id x, extent_pair output) {
    return apply("adaptive_avg_pool2d", {x}, {{"output_size", numbers(output)}});
  }
  // Joins axes [start, rank) of x.
  value_id flatten(value_id x, int start = 1) {
    return apply("flatten", {x}, {{"start_dim", {static_cast<double>(start)}}});
  }
  // Axis i of the result is axis `dims[i]` of x.
  value_id permute(value_id x, const std::vector<int>& dims) {
    return apply("permute", {x}, {{"dims", {dims.begin(), dims.end()}}});
  }
  // One extent may be -1: what is left.
  value_id reshape(value_id x, const std::vector<index_t>& extents) {
    return apply("reshape", {x}, {{"shape", {extents.begin(), extents.end()}}});
  }
  value_id concat(std::vector<value_id> xs, int axis = 1) {
    return apply("cat", std::move(xs), {{"dim", {static_cast<double>(axis)}}});
  }
  value_id softmax(value_id x, int axis = -1) {
    return apply("softmax", {x}, {{"dim", {static_cast<double>(axis)}}});
  }

  // Any operation by its op type.
  value_id apply(const std::string& op, std::vector<value_id> operands, literal_map literals = {}) {
    const index_t repeat = repeats_[op]++;
    const std::string name = repeat == 0 ? op : op + "_" + text_of(repeat);
    const node_id n{static_cast<index_t>(graph_.nodes.size())};
    const value_id result = add({.name = name, .producer = n});
    graph_.nodes.push_back({.op = op,
                            .name = name,
                            .module_path = module_path_,
                            .operands = std::move(operands),
                            .results = {result},
                            .literals = std::move(literals)});
    graph_.order.push_back(n);
    return result;
  }

  // The finished graph; raises errc::invalid_graph for foreign value ids.
  graph build() && {
    verify(graph_);
    return std::move(graph_);
  }

 private:
  value_id add(value v) {
    graph_.values.push_back(std::move(v));
    return {static_cast<index_t>(graph_.values.size()) - 1};
  }
  value_id pool(const char* op, value_id x, const pool2d_options& o) {
    return apply(op, {x},
                 {{"kernel_size", numbers(o.kernel)},
                  {"stride", numbers({o.stride[0] != 0 ? o.stride[0] : o.kernel[0],
                                      o.stride[1] != 0 ? o.stride[1] : o.kernel[1]})},
                  {"padding", numbers(o.padding)}});
  }
  static std::vector<value_id> with(value_id x, value_id w, std::optional<value_id> bias) {
    std::vector<value_id> operands{x, w};
    if (bias) operands.push_back(*bias);
    return operands;
  }
  static std::vector<double> numbers(const extent_pair& p) {
    return {static_cast<double>(p[0]), static_cast<double>(p[1])};
  }

  graph graph_;
  std::map<std::string, index_t> repeats_;
  std::string module_path_;
};

}  // namespace lutra::inline LUTRA_ABI::ir
