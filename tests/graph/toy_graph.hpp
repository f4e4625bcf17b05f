// A small editable and executable graph for tests. Handles are integers; it can be told to fail at an edit.
#pragma once

#include <lutra/graph/traits.hpp>
#include <lutra/pack/affine_constant.hpp>
#include <lutra/tensor/tensor.hpp>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace toy {

using lutra::index_t;

struct node {
  std::string op, name, module;
  std::vector<int> operands, results;
  int fake_quant = -1;
  std::optional<lutra::qparams> quantization;

  friend bool operator==(const node&, const node&) = default;
};
struct value {
  lutra::value_role role = lutra::value_role::result;
  bool is_float = true;
  std::vector<std::string> names;  // of states
  lutra::tensor<float> data;
  std::optional<lutra::packed_palette> palette;
  std::optional<lutra::affine_constant> affine{};

  friend bool operator==(const value&, const value&) = default;
};

struct failure : std::runtime_error {
  failure() : std::runtime_error("the adapter failed") {}
};

struct graph {
  std::map<int, node> nodes;
  std::map<int, value> values;
  std::vector<int> order, outputs;
  std::map<std::string, std::string> types;
  std::map<std::string, std::vector<std::string>> aliases;
  std::map<int, lutra::batch_norm_operands<int>> batch_norms;          // by result
  std::map<int, std::map<std::string, double, std::less<>>> literals;  // by result
  int next = 0;
  // Edits until one throws; -1: none does. After it, `keeps_failing` makes all others throw too.
  int fail_in = -1;
  bool keeps_failing = false;
  int edits = 0;
  int runs_until_failure = -1;

  int add(value v) {
    values[next] = std::move(v);
    return next++;
  }
  int input(bool is_float = true) {
    return add({lutra::value_role::graph_input, is_float, {}, {}, {}});
  }
  int shared_state(std::vector<std::string> names,
                   lutra::tensor<float> data = lutra::tensor<float>({1})) {
    return add({lutra::value_role::state, true, std::move(names), std::move(data), {}});
  }
  int state(const std::string& name, lutra::tensor<float> data = lutra::tensor<float>({1})) {
    return shared_state({name}, std::move(data));
  }
  int packed(const lutra::packed_palette& p = {}) {
    return add({lutra::value_role::packed_state, true, {}, {}, p});
  }
  int op(const std::string& op, std::vector<int> operands, const std::string& module = "",
         const std::string& name = "") {
    const int result = add({});
    const int id = next++;
    int repeat = 0;
    for (const auto& [n, other] : nodes) repeat += other.op == op ? 1 : 0;
    const std::string unique = repeat == 0 ? op : op + "_" + std::to_string(repeat);
    nodes[id] = {op, name.empty() ? unique : name, module, std::move(operands), {result}, -1, {}};
    order.push_back(id);
    return result;
  }
  // The node that makes v; -1 if none does.
  int producer(int v) const {
    for (const auto& [id, n] : nodes) {
      for (const int r : n.results) {
        if (r == v) return id;
      }
    }
    return -1;
  }
  node& maker(int v) { return nodes.at(producer(v)); }
  // Everything but the counters.
  bool same_as(const graph& other) const {
    return nodes == other.nodes && values == other.values && order == other.order &&
           outputs == other.outputs;
  }
  int count(const std::string& op) const {
    int n = 0;
    for (const int id : order) n += nodes.at(id).op == op ? 1 : 0;
    return n;
  }
  void edit() {
    ++edits;
    if (fail_in < 0) return;
    if (fail_in == 0) {
      if (!keeps_failing) fail_in = -1;
      throw failure();
    }
    --fail_in;
  }
};

// The same with an adapter that takes codes for affine weights.
struct storing : graph {
  storing() = default;
  explicit storing(graph g) : graph(std::move(g)) {}
};

// What a framework's backward pass gives for one batch: gradients by value.
struct gradients {
  std::vector<std::pair<int, lutra::tensor<float>>> of;
};

}  // namespace toy

template <> struct lutra::graph_traits<toy::graph> {
  using node_id = int;
  using value_id = int;
  using graph = toy::graph;

  static const std::vector<int>& nodes(const graph& g) { return g.order; }
  static const std::string& op_type(const graph& g, int n) { return g.nodes.at(n).op; }
  static const std::string& name(const graph& g, int n) { return g.nodes.at(n).name; }
  static const std::vector<int>& operands(const graph& g, int n) { return g.nodes.at(n).operands; }
  static const std::vector<int>& results(const graph& g, int n) { return g.nodes.at(n).results; }
  static const std::vector<int>& outputs(const graph& g) { return g.outputs; }
  static value_role role_of(const graph& g, int v) { return g.values.at(v).role; }
  static bool is_float(const graph& g, int v) { return g.values.at(v).is_float; }
  static const std::vector<std::string>& state_names(const graph& g, int v) {
    return g.values.at(v).names;
  }
  static const std::string& module_path(const graph& g, int n) { return g.nodes.at(n).module; }
  static std::string module_type(const graph& g, std::string_view path) {
    const auto found = g.types.find(std::string(path));
    return found == g.types.end() ? "" : found->second;
  }
  static std::optional<double> literal(const graph& g, int n, std::string_view key) {
    const auto own = g.literals.find(g.nodes.at(n).results.at(0));
    if (own == g.literals.end()) return std::nullopt;
    const auto found = own->second.find(key);
    return found == own->second.end() ? std::nullopt : std::optional(found->second);
  }
  static std::vector<std::string> module_aliases(const graph& g, std::string_view path) {
    const auto found = g.aliases.find(std::string(path));
    return found == g.aliases.end() ? std::vector<std::string>() : found->second;
  }
  static tensor_view<const float> constant(const graph& g, int v) {
    return lutra::view(g.values.at(v).data);
  }

  static void set_constant(graph& g, int v, tensor_view<const float> data) {
    g.edit();
    g.values.at(v).data = tensor<float>::copy_of(data);
  }
  static int insert_fake_quant(graph& g, int v, fake_quant_id id) {
    g.edit();
    const int made = insert(g, v, "fake_quant");
    g.maker(made).fake_quant = static_cast<int>(id.index);
    return made;
  }
  static int emit_quantize_dequantize(graph& g, int v, const qparams& q) {
    g.edit();
    const int codes = insert(g, v, "quantize");
    g.values.at(codes).is_float = false;
    g.maker(codes).quantization = q;
    const int made = insert(g, codes, "dequantize");
    g.maker(made).quantization = q;
    return made;
  }
  // Runs with what stands in the place of the float weight: after prepare(), the restored palette.
  static int emit_palette(graph& g, int v, const packed_palette& p) {
    g.edit();
    const int made = g.packed(p);
    g.values.at(made).data = g.values.at(v).data;
    return made;
  }
  static void set_operand(graph& g, int n, std::size_t slot, int v) {
    g.edit();
    g.nodes.at(n).operands.at(slot) = v;
  }
  static void set_output(graph& g, std::size_t slot, int v) {
    g.edit();
    g.outputs.at(slot) = v;
  }
  static void erase(graph& g, int v) {
    g.edit();
    const int made = g.producer(v);
    g.values.erase(v);
    if (made < 0) return;  // a palette
    const toy::node n = g.nodes.at(made);
    g.nodes.erase(made);
    std::erase(g.order, made);
    if (n.op == "dequantize") {
      const int quantize = g.producer(n.operands[0]);
      g.values.erase(n.operands[0]);
      g.nodes.erase(quantize);
      std::erase(g.order, quantize);
    }
  }

  static std::optional<batch_norm_operands<int>> batch_norm_of(const graph& g, int n) {
    const auto found = g.batch_norms.find(g.nodes.at(n).results[0]);
    if (found == g.batch_norms.end()) return std::nullopt;
    return found->second;
  }
  static int add_state(graph& g, std::string_view name, tensor_view<const float> data) {
    g.edit();
    return g.state(std::string(name), tensor<float>::copy_of(data));
  }
  static void set_bias(graph& g, int n, std::optional<int> bias) {
    g.edit();
    g.nodes.at(n).operands.resize(2);
    if (bias) g.nodes.at(n).operands.push_back(*bias);
  }
  static void erase_nodes(graph& g, std::span<const int> nodes) {
    g.edit();
    for (const int n : nodes) {
      for (const int v : g.nodes.at(n).results) g.values.erase(v);
      g.nodes.erase(n);
      std::erase(g.order, n);
    }
  }

  // "linear" multiplies [rows, depth] by its weight, "relu" clamps, "add" adds; all else copies operand 0.
  template <class F> static tensor<float> run(graph& g, const tensor<float>& x, F&& on_fake_quant) {
    if (g.runs_until_failure == 0) throw toy::failure();
    if (g.runs_until_failure > 0) --g.runs_until_failure;
    std::map<int, tensor<float>> at;
    for (const auto& [id, v] : g.values) {
      if (v.role == value_role::graph_input) at[id] = x;
      if (v.role == value_role::state || v.role == value_role::packed_state) at[id] = v.data;
    }
    for (const int id : g.order) {
      const toy::node& n = g.nodes.at(id);
      tensor<float> out = at.at(n.operands[0]);
      if (n.op == "linear") {
        out = linear(at.at(n.operands[0]), at.at(n.operands[1]));
      } else if (n.op == "relu") {
        for (float& e : out.elements()) e = e > 0 ? e : 0;
      } else if (n.op == "add") {
        for (index_t i = 0; i < out.size(); ++i) out[i] += at.at(n.operands[1])[i];
      } else if (n.op == "fake_quant") {
        on_fake_quant(fake_quant_id{n.fake_quant}, lutra::view(at.at(n.operands[0])),
                      lutra::view(out));
      }
      at[n.results[0]] = std::move(out);
    }
    return at.at(g.outputs[0]);
  }
  template <class F> static void gradients(graph&, const toy::gradients& batch, F&& on_gradient) {
    for (const auto& [v, gradient] : batch.of) on_gradient(v, lutra::view(gradient));
  }

 private:
  // A node right behind the producer of v.
  static int insert(graph& g, int v, const std::string& op) {
    const int producer = g.producer(v);
    const int made = g.op(op, {v});
    const int id = g.order.back();
    g.order.pop_back();
    auto at = g.order.begin();
    while (producer >= 0 && *at != producer) ++at;
    g.order.insert(producer >= 0 ? at + 1 : at, id);
    return made;
  }
  static tensor<float> linear(const tensor<float>& x, const tensor<float>& w) {
    tensor<float> out({x.extent(0), w.extent(0)});
    for (index_t r = 0; r < x.extent(0); ++r) {
      for (index_t o = 0; o < w.extent(0); ++o) {
        float sum = 0;
        for (index_t i = 0; i < x.extent(1); ++i) {
          sum += x[r * x.extent(1) + i] * w[o * x.extent(1) + i];
        }
        out[r * w.extent(0) + o] = sum;
      }
    }
    return out;
  }
};
static_assert(lutra::foldable_graph<toy::graph>);
static_assert(!lutra::affine_constant_graph<toy::graph>);

template <> struct lutra::graph_traits<toy::storing> : graph_traits<toy::graph> {
  static int emit_affine_constant(toy::storing& g, int v, const affine_constant& c) {
    g.edit();
    const int made = g.packed();
    g.values.at(made).palette.reset();
    g.values.at(made).affine = c;
    g.values.at(made).data = restore(c);
    g.values.at(made).names = g.values.at(v).names;
    return made;
  }
};
static_assert(lutra::affine_constant_graph<toy::storing>);
