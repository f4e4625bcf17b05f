// A framework built on edges, and its adapter: nothing in it looks like lutra's own IR.
//
//   loom     wires (buffers with fixed extents) belong to the graph; nodes name the wires they read and write
//            a node that writes a wire it reads works in place, as layers with equal top and bottom do
//            weights and biases are parameters by role, their data in a side table keyed by name; those of a
//            batch norm are no operands at all
//            ids are addresses; a node may write several wires; extents are checked at every edit
//   adapter  a value is a definition (node, output number), never a wire: what was in a wire before and after
//            an in-place node are two values. An edit that makes a node read a definition that is overwritten
//            by then first gives the overwriting nodes wires of their own; no handle changes by that.
//            There is no begin, commit or rollback.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <list>
#include <lutra/affine/quantize.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/graph/traits.hpp>
#include <lutra/pack/affine_constant.hpp>
#include <lutra/palette/restore.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace loom {

using extents = std::vector<std::size_t>;
inline std::size_t count(const extents& e) {
  std::size_t n = 1;
  for (const std::size_t x : e) n *= x;
  return n;
}
struct buffer {
  extents dims;
  std::vector<float> data;
};

struct wire {
  extents dims;
  bool integer = false;
};
// A constant is stored densely or brings its decoder.
struct constant {
  extents dims;
  std::vector<float> data;
  std::function<std::vector<float>()> decode;
};
// What a node reads: a wire, or an entry of the table of constants.
struct source {
  wire* from = nullptr;
  std::string stored;
  friend bool operator==(const source&, const source&) = default;
};
struct node {
  std::string kind, label, scope;
  std::vector<source> in;
  std::map<std::string, source> parameters;  // by role
  std::vector<wire*> out;
  double eps = 0;
  int tag = -1;                                        // of FakeQuant
  std::function<void(std::vector<float>&)> transform;  // of Quantize and Dequantize
  std::function<float(float, float)> formula;          // of arithmetic: of element and element
};
using hook = std::function<void(int tag, buffer& x)>;

struct edit_failure : std::runtime_error {
  edit_failure() : std::runtime_error("loom: edit refused") {}
};

class graph {
 public:
  std::list<node> nodes;
  std::list<wire> wires;
  std::map<std::string, constant> table;
  std::vector<wire*> inputs, outputs;
  int edits = 0;
  int fail_in = -1;  // edits until one throws

  graph() = default;
  graph(const graph&) = delete;
  graph& operator=(const graph&) = delete;

  wire* add_wire(extents dims, bool integer = false) {
    wires.push_back({std::move(dims), integer});
    return &wires.back();
  }
  std::string add_constant(const std::string& name, extents dims, std::vector<float> data) {
    if (!table.try_emplace(name, constant{std::move(dims), std::move(data), {}}).second) {
      throw std::invalid_argument("loom: there is a constant " + name);
    }
    return name;
  }
  node& add(std::string kind, std::vector<wire*> in, std::vector<wire*> out,
            std::string scope = {}) {
    int repeat = 0;
    for (const node& n : nodes) repeat += n.kind == kind ? 1 : 0;
    node n{};
    n.label = kind + "#" + std::to_string(repeat);
    n.kind = std::move(kind);
    n.scope = std::move(scope);
    for (wire* w : in) n.in.push_back({w, {}});
    n.out = std::move(out);
    nodes.push_back(std::move(n));
    return nodes.back();
  }

  using position = std::list<node>::const_iterator;
  position place_of(const node* n) const {
    return std::find_if(nodes.begin(), nodes.end(), [=](const node& m) { return &m == n; });
  }
  // The node that wrote what `w` holds when the node at `at` starts; null for a graph input.
  const node* writer(const wire* w, position at) const {
    while (at != nodes.begin()) {
      --at;
      if (std::find(at->out.begin(), at->out.end(), w) != at->out.end()) return &*at;
    }
    return nullptr;
  }
  void edit() {
    ++edits;
    if (fail_in >= 0 && fail_in-- == 0) throw edit_failure();
  }
  // Wires that nothing names any more.
  void sweep() {
    std::set<const wire*> named(inputs.begin(), inputs.end());
    named.insert(outputs.begin(), outputs.end());
    for (const node& n : nodes) {
      for (const source& s : n.in) named.insert(s.from);
      for (const auto& [role, s] : n.parameters) named.insert(s.from);
      named.insert(n.out.begin(), n.out.end());
    }
    wires.remove_if([&](const wire& w) { return named.count(&w) == 0; });
  }

  std::vector<float> stored(const std::string& name) const {
    const constant& c = table.at(name);
    return c.decode ? c.decode() : c.data;
  }
  std::vector<buffer> run(const std::vector<buffer>& batch, const hook& on_fake_quant = {}) const;
};

// ---- kernels: plain loops, products and sums rounded one by one ------------------------------------

inline buffer convolution(const buffer& x, const buffer& w, const float* bias) {  // 3x3, padding 1
  const std::size_t channels = x.dims[1], height = x.dims[2], width = x.dims[3],
                    filters = w.dims[0];
  buffer y{{x.dims[0], filters, height, width}, {}};
  const auto at = [&](std::size_t n, std::size_t c, std::size_t i, std::size_t j) {
    const bool inside = i >= 1 && i <= height && j >= 1 && j <= width;
    return inside ? x.data[((n * channels + c) * height + i - 1) * width + j - 1] : 0.0F;
  };
  for (std::size_t n = 0; n < x.dims[0]; ++n) {
    for (std::size_t o = 0; o < filters; ++o) {
      for (std::size_t p = 0; p < height * width; ++p) {
        float sum = 0;
        for (std::size_t k = 0; k < channels * 9; ++k) {
          const std::size_t ky = k % 9 / 3, kx = k % 3;
          sum += w.data[o * channels * 9 + k] * at(n, k / 9, p / width + ky, p % width + kx);
        }
        y.data.push_back(bias != nullptr ? sum + bias[o] : sum);
      }
    }
  }
  return y;
}
inline buffer inner_product(const buffer& x, const buffer& w, const float* bias) {
  const std::size_t depth = w.dims[1];
  buffer y{{x.dims[0], w.dims[0]}, {}};
  for (std::size_t i = 0; i < x.dims[0] * w.dims[0]; ++i) {
    const std::size_t row = i / w.dims[0], o = i % w.dims[0];
    float sum = 0;
    for (std::size_t k = 0; k < depth; ++k) sum += x.data[row * depth + k] * w.data[o * depth + k];
    y.data.push_back(bias != nullptr ? sum + bias[o] : sum);
  }
  return y;
}
inline buffer max_pooling(const buffer& x) {  // 2x2
  const std::size_t height = x.dims[2] / 2, width = x.dims[3] / 2;
  buffer y{{x.dims[0], x.dims[1], height, width}, {}};
  for (std::size_t i = 0; i < count(y.dims); ++i) {
    const float* corner = x.data.data() + i / (height * width) * 4 * height * width +
                          i / width % height * 4 * width + i % width * 2;
    y.data.push_back(std::max({corner[0], corner[1], corner[2 * width], corner[2 * width + 1]}));
  }
  return y;
}
inline void normalise(buffer& x, const graph& g, const node& n) {
  const auto of = [&](const char* role) { return g.stored(n.parameters.at(role).stored); };
  const auto gamma = of("gamma"), beta = of("beta"), mean = of("mean"), variance = of("variance");
  const std::size_t inner = count(x.dims) / x.dims[0] / x.dims[1];
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const std::size_t c = i / inner % x.dims[1];
    const float scale = gamma[c] / std::sqrt(variance[c] + static_cast<float>(n.eps));
    x.data[i] = (x.data[i] - mean[c]) * scale + beta[c];
  }
}
// Arithmetic on one or two buffers; an extent of 1 repeats.
inline buffer arithmetic(const node& n, const std::vector<buffer>& in) {
  buffer y{n.out[0]->dims, {}};
  const auto element = [&](const buffer& x, std::size_t i) {
    std::size_t at = 0, step = 1;
    for (std::size_t back = 1; back <= y.dims.size(); ++back) {
      const std::size_t full = y.dims[y.dims.size() - back];
      const std::size_t own = back <= x.dims.size() ? x.dims[x.dims.size() - back] : 1;
      if (own > 1) at += i % full * step;
      step *= own;
      i /= full;
    }
    return x.data[at];
  };
  for (std::size_t i = 0; i < count(y.dims); ++i) {
    const bool same = n.kind == "Reshape";
    const float a = same ? in[0].data[i] : element(in[0], i);
    y.data.push_back(n.formula(a, in.size() > 1 ? element(in[1], i) : 0.0F));
  }
  return y;
}
// One node on the buffers it reads; in place where it can.
inline std::vector<buffer> compute(const graph& g, const node& n, std::vector<buffer> in,
                                   const hook& on_fake_quant) {
  if (n.formula) return {arithmetic(n, in)};
  buffer& x = in[0];
  if (n.kind == "Convolution" || n.kind == "InnerProduct") {
    const buffer& w = in[1];
    const float* bias = in.size() > 2 ? in[2].data.data() : nullptr;
    return {n.kind == "Convolution" ? convolution(x, w, bias) : inner_product(x, w, bias)};
  }
  if (n.kind == "Split") return std::vector<buffer>(n.out.size(), x);
  if (n.kind == "Slice") {  // axis 1 into equal parts
    std::vector<buffer> parts(n.out.size());
    const std::size_t rows = x.dims[0], part = x.data.size() / rows / parts.size();
    for (std::size_t i = 0; i < x.data.size(); ++i) {
      parts[i / part % parts.size()].data.push_back(x.data[i]);
    }
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i].dims = n.out[i]->dims;
    return parts;
  }
  if (n.kind == "Pooling") return {max_pooling(x)};
  if (n.kind == "BatchNorm") normalise(x, g, n);
  if (n.kind == "Flatten") x.dims = n.out[0]->dims;
  if (n.kind == "ReLU") {
    for (float& v : x.data) v = v > 0 ? v : 0;
  }
  if (n.kind == "Eltwise") {
    for (std::size_t i = 0; i < x.data.size(); ++i) x.data[i] += in[1].data[i];
  }
  if (n.transform) n.transform(x.data);
  if (n.kind == "FakeQuant") on_fake_quant(n.tag, x);
  return {std::move(x)};
}
inline std::vector<buffer> graph::run(const std::vector<buffer>& batch,
                                      const hook& on_fake_quant) const {
  std::map<const wire*, buffer> memory;
  for (std::size_t i = 0; i < inputs.size(); ++i) memory[inputs[i]] = batch.at(i);
  const auto read = [&](const source& s) {
    return s.from != nullptr ? memory.at(s.from)
                             : buffer{table.at(s.stored).dims, stored(s.stored)};
  };
  for (const node& n : nodes) {
    std::vector<buffer> in;
    for (const source& s : n.in) in.push_back(read(s));
    for (const char* role : {"weight", "bias"}) {
      if (n.parameters.count(role) != 0) in.push_back(read(n.parameters.at(role)));
    }
    std::vector<buffer> made = compute(*this, n, std::move(in), on_fake_quant);
    for (std::size_t i = 0; i < made.size(); ++i) {
      if (made[i].dims != n.out[i]->dims) throw std::logic_error("loom: extents of " + n.label);
      memory[n.out[i]] = std::move(made[i]);
    }
  }
  std::vector<buffer> results;
  for (const wire* w : outputs) results.push_back(memory.at(w));
  return results;
}

// A tensor as lutra sees it: output `number` of a node, a graph input (-1), or a constant (-2).
struct value {
  const void* at = nullptr;
  int number = 0;
  friend bool operator==(const value&, const value&) = default;
};

}  // namespace loom

LUTRA_STRICT_FP_END

template <> struct std::hash<loom::value> {
  std::size_t operator()(const loom::value& v) const noexcept {
    return std::hash<const void*>{}(v.at) * 31 + static_cast<std::size_t>(v.number + 2);
  }
};

template <> struct lutra::graph_traits<loom::graph> {
  using graph = loom::graph;
  using node_id = loom::node*;
  using value_id = loom::value;

  // ---- reading --------------------------------------------------------------------------------------
  static std::vector<node_id> nodes(const graph& g) {
    std::vector<node_id> all;
    for (const loom::node& n : g.nodes) all.push_back(const_cast<node_id>(&n));
    return all;
  }
  static std::string op_type(const graph&, node_id n) {
    static const std::map<std::string, std::string> names{{"Convolution", "conv2d"},
                                                          {"InnerProduct", "linear"},
                                                          {"BatchNorm", "batch_norm"},
                                                          {"Split", "split"},
                                                          {"Slice", "split"},
                                                          {"Eltwise", "add"},
                                                          {"Pooling", "max_pool2d"},
                                                          {"Flatten", "flatten"},
                                                          {"ReLU", "relu"},
                                                          {"Quantize", "quantize"},
                                                          {"Dequantize", "dequantize"},
                                                          {"FakeQuant", "fake_quant"},
                                                          {"Sum", "add"},
                                                          {"Product", "mul"},
                                                          {"Quotient", "div"},
                                                          {"Offset", "add"},
                                                          {"Root", "sqrt"},
                                                          {"Reshape", "reshape"}};
    const bool in_place = n->in[0].from == n->out[0];
    return names.at(n->kind) + (in_place ? "_" : "");  // lutra drops the underscore
  }
  static std::string name(const graph&, node_id n) { return n->label; }
  static std::string module_path(const graph&, node_id n) { return n->scope; }
  static std::list<value_id> operands(const graph& g, node_id n) {
    std::list<value_id> values;
    for (const loom::source* s : read_by(n)) values.push_back(value_of(g, *s, g.place_of(n)));
    return values;
  }
  static std::vector<value_id> results(const graph&, node_id n) {
    std::vector<value_id> values;
    for (std::size_t i = 0; i < n->out.size(); ++i) values.push_back({n, static_cast<int>(i)});
    return values;
  }
  static std::vector<value_id> outputs(const graph& g) {
    std::vector<value_id> values;
    for (loom::wire* w : g.outputs) values.push_back(value_of(g, {w, {}}, g.nodes.end()));
    return values;
  }
  static value_role role_of(const graph& g, const value_id& v) {
    if (v.number >= 0) return value_role::result;
    if (v.number == input) return value_role::graph_input;
    return g.table.at(key(v)).decode ? value_role::packed_state : value_role::state;
  }
  static bool is_float(const graph&, const value_id& v) {
    return v.number == stored || !wire_of(v)->integer;
  }
  static std::vector<std::string> state_names(const graph&, const value_id& v) { return {key(v)}; }
  static std::optional<shape> shape_of(const graph& g, const value_id& v) {
    return extents(v.number == stored ? g.table.at(key(v)).dims : wire_of(v)->dims);
  }
  static tensor_view<const float> constant(const graph& g, const value_id& v) {
    const loom::constant& c = g.table.at(key(v));
    return {c.data.data(), extents(c.dims)};
  }

  // ---- editing --------------------------------------------------------------------------------------
  static void set_constant(graph& g, const value_id& v, tensor_view<const float> data) {
    g.edit();
    need(extents(g.table.at(key(v)).dims) == data.extents());
    g.table.at(key(v)).data = to_vector<float>(data);
  }
  static value_id insert_fake_quant(graph& g, const value_id& v, fake_quant_id id) {
    g.edit();
    loom::node* made = insert(g, v, "FakeQuant", false);
    made->tag = static_cast<int>(id.index);
    return {made, 0};
  }
  static value_id emit_quantize_dequantize(graph& g, const value_id& v, const qparams& q) {
    g.edit();
    loom::node* codes = insert(g, v, "Quantize", true);
    loom::node* made = insert(g, {codes, 0}, "Dequantize", false);
    const shape dims = *shape_of(g, v);
    codes->transform = [=](std::vector<float>& x) {  // wires hold floats: codes as such
      tensor<std::int8_t> c(dims);
      quantize(tensor_view<const float>(x.data(), dims), q, lutra::view(c));
      std::copy(c.elements().begin(), c.elements().end(), x.begin());
    };
    made->transform = [=](std::vector<float>& x) {
      tensor<std::int8_t> c(dims);
      std::transform(x.begin(), x.end(), c.elements().begin(),
                     [](float f) { return static_cast<std::int8_t>(f); });
      dequantize(tensor_view<const std::int8_t>(c.data(), dims), q,
                 tensor_view<float>(x.data(), dims));
    };
    return {made, 0};
  }
  static value_id emit_palette(graph& g, const value_id& v, const packed_palette& p) {
    g.edit();
    const std::string name = g.add_constant(key(v) + ":palette", g.table.at(key(v)).dims, {});
    g.table.at(name).decode = [p] { return to_vector<float>(lutra::view(restore(p))); };
    return constant_value(g, name);
  }
  static value_id emit_affine_constant(graph& g, const value_id& v, const affine_constant& c) {
    g.edit();
    const std::string name = g.add_constant(key(v) + ":codes", g.table.at(key(v)).dims, {});
    g.table.at(name).decode = [c] { return to_vector<float>(lutra::view(restore(c))); };
    return constant_value(g, name);
  }
  static void set_operand(graph& g, node_id n, std::size_t slot, const value_id& v) {
    g.edit();
    loom::source& read = *read_by(n).at(slot);
    need(*shape_of(g, v) == *shape_of(g, value_of(g, read, g.place_of(n))));
    read = source_of(g, v, g.place_of(n));
  }
  static void set_output(graph& g, std::size_t slot, const value_id& v) {
    g.edit();
    need(*shape_of(g, v) == extents(g.outputs.at(slot)->dims));
    g.outputs[slot] = source_of(g, v, g.nodes.end()).from;
  }
  static void erase(graph& g, const value_id& v) {
    g.edit();
    if (v.number == stored) {
      g.table.erase(key(v));
      return;
    }
    const auto made = g.place_of(static_cast<const loom::node*>(v.at));
    const loom::node* codes =
        made->kind == "Dequantize" ? g.writer(made->in[0].from, made) : nullptr;
    g.nodes.erase(made);
    if (codes != nullptr) g.nodes.erase(g.place_of(codes));
    g.sweep();
  }

  // ---- folding --------------------------------------------------------------------------------------
  static std::optional<batch_norm_operands<value_id>> batch_norm_of(const graph& g, node_id n) {
    const auto of = [&](const char* role) {
      return constant_value(g, n->parameters.at(role).stored);
    };
    return batch_norm_operands<value_id>{of("gamma"), of("beta"), of("mean"), of("variance"),
                                         n->eps};
  }
  static value_id add_state(graph& g, std::string_view name, tensor_view<const float> data) {
    g.edit();
    const auto e = data.extents().extents();
    return constant_value(g, g.add_constant(std::string(name), loom::extents(e.begin(), e.end()),
                                            to_vector<float>(data)));
  }
  static void set_bias(graph& g, node_id n, std::optional<value_id> bias) {
    g.edit();
    if (!bias) {
      n->parameters.erase("bias");
      return;
    }
    need(*shape_of(g, *bias) == shape{static_cast<index_t>(n->out[0]->dims[1])});
    n->parameters["bias"] = source_of(g, *bias, g.place_of(n));
  }
  static void erase_nodes(graph& g, std::span<const node_id> nodes) {
    g.edit();
    for (const loom::node* n : nodes) g.nodes.erase(g.place_of(n));
    g.sweep();
  }

  // ---- training -------------------------------------------------------------------------------------
  static value_id emit_arithmetic(graph& g, const arithmetic& a,
                                  std::span<const value_id> operands) {
    g.edit();
    static const char* const kinds[] = {"Sum", "Product", "Quotient", "Offset", "Root", "Reshape"};
    const auto scalar = static_cast<float>(a.scalar);
    const std::function<float(float, float)> formulas[] = {
        [](float x, float y) { return x + y; },      [](float x, float y) { return x * y; },
        [](float x, float y) { return x / y; },      [=](float x, float) { return x + scalar; },
        [](float x, float) { return std::sqrt(x); }, [](float x, float) { return x; }};
    const auto kind = static_cast<std::size_t>(a.kind);
    auto where = g.nodes.cbegin();
    loom::extents dims(a.extents.begin(), a.extents.end());
    for (auto at = g.nodes.cbegin(); at != g.nodes.cend(); ++at) {
      for (const value_id& v : operands) {
        if (v.number >= 0 && v.at == &*at) where = std::next(at);
      }
    }
    loom::node n{};
    for (const value_id& v : operands) {
      n.in.push_back(source_of(g, v, where));
      const shape s = *shape_of(g, v);
      if (a.kind == arithmetic::kind_t::reshape) continue;
      dims.resize(std::max(dims.size(), static_cast<std::size_t>(s.rank())), 1);
      need(static_cast<std::size_t>(s.rank()) == dims.size());
      for (std::size_t i = 0; i < dims.size(); ++i) {
        dims[i] = std::max(dims[i], static_cast<std::size_t>(s[static_cast<int>(i)]));
      }
    }
    n.kind = kinds[kind];
    n.label = n.kind + " " + std::to_string(g.edits);
    n.formula = formulas[kind];
    n.out = {g.add_wire(dims)};
    return {&*g.nodes.insert(where, std::move(n)), 0};
  }

  // The framework runs itself; a fake-quantizer works in place.
  template <class F>
  static std::vector<loom::buffer> run(const graph& g, const loom::buffer& x, F&& on_fake_quant) {
    return g.run(std::vector<loom::buffer>{x}, [&](int tag, loom::buffer& b) {
      const tensor_view<float> view(b.data.data(), extents(b.dims));
      on_fake_quant(fake_quant_id{tag}, view, view);
    });
  }

 private:
  static constexpr int input = -1;
  static constexpr int stored = -2;

  static void need(bool fits) {
    if (!fits) throw std::invalid_argument("loom: extents differ");
  }
  static shape extents(const loom::extents& dims) {
    std::vector<index_t> e(dims.begin(), dims.end());
    return shape(std::span<const index_t>(e));
  }
  static const std::string& key(const value_id& v) {
    return *static_cast<const std::string*>(v.at);
  }
  static value_id constant_value(const graph& g, const std::string& name) {
    return {&g.table.find(name)->first, stored};
  }
  static loom::wire* wire_of(const value_id& v) {
    if (v.number >= 0)
      return static_cast<const loom::node*>(v.at)->out[static_cast<std::size_t>(v.number)];
    return static_cast<loom::wire*>(const_cast<void*>(v.at));
  }
  // What a node reads, in slot order: wires, weight, bias.
  static std::vector<loom::source*> read_by(node_id n) {
    std::vector<loom::source*> all;
    for (loom::source& s : n->in) all.push_back(&s);
    for (const char* role : {"weight", "bias"}) {
      const auto at = n->parameters.find(role);
      if (at != n->parameters.end()) all.push_back(&at->second);
    }
    return all;
  }
  // The definition that is read through `s` at a place of the order.
  static value_id value_of(const graph& g, const loom::source& s, graph::position at) {
    if (s.from == nullptr) return constant_value(g, s.stored);
    const loom::node* maker = g.writer(s.from, at);
    if (maker == nullptr) return {s.from, input};
    const auto port = std::find(maker->out.begin(), maker->out.end(), s.from) - maker->out.begin();
    return {maker, static_cast<int>(port)};
  }
  // How `v` can be read at a place of the order.
  static loom::source source_of(graph& g, const value_id& v, graph::position at) {
    if (v.number == stored) return {nullptr, key(v)};
    loom::wire* w = wire_of(v);
    for (;;) {
      const loom::node* last = g.writer(w, at);
      const void* own = v.number >= 0 ? v.at : nullptr;
      if (last == own) return {w, {}};
      give_own_wire(g, const_cast<loom::node*>(last), w);
    }
  }
  // What `n` writes to `w` goes to a new wire; its readers follow.
  static void give_own_wire(graph& g, loom::node* n, loom::wire* w) {
    loom::wire* fresh = g.add_wire(w->dims, w->integer);
    for (auto m = std::next(g.place_of(n)); m != g.nodes.end(); ++m) {
      for (loom::source* s : read_by(const_cast<node_id>(&*m))) {
        if (s->from == w && g.writer(w, m) == n) s->from = fresh;
      }
    }
    for (loom::wire*& out : g.outputs) {
      if (out == w && g.writer(w, g.nodes.end()) == n) out = fresh;
    }
    std::replace(n->out.begin(), n->out.end(), w, fresh);
  }
  // A node right behind the one that makes v; in front of all for what no node makes.
  static loom::node* insert(graph& g, const value_id& v, const char* kind, bool integer) {
    const auto where = v.number >= 0 ? std::next(g.place_of(static_cast<const loom::node*>(v.at)))
                                     : g.nodes.cbegin();
    const auto& dims = v.number == stored ? g.table.at(key(v)).dims : wire_of(v)->dims;
    loom::node n{};
    n.kind = kind;
    n.label = std::string(kind) + " " + std::to_string(g.edits);
    n.in = {source_of(g, v, where)};
    n.out = {g.add_wire(dims, integer)};
    return &*g.nodes.insert(where, std::move(n));
  }
};
static_assert(lutra::arithmetic_graph<loom::graph>);
static_assert(lutra::affine_constant_graph<loom::graph>);
