// The poorest graphs: no copies, no optional members, handles without order, ranges that can only be walked.
#include <doctest/doctest.h>
#include <forward_list>
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/graph/conformance.hpp>

namespace {

// Regular and hashable, nothing else.
struct poor_handle {
  int number = -1;
  friend bool operator==(poor_handle a, poor_handle b) { return a.number == b.number; }
};
struct other_handle {  // merely convertible to a handle
  int number;
  operator poor_handle() const { return {number}; }
};
struct text {  // merely convertible to std::string_view
  const char* letters;
  operator std::string_view() const { return letters; }
};
struct truth {  // merely convertible to bool
  bool holds;
  operator bool() const { return holds; }
};

struct poor_node {
  int number;
  const char* op;
  std::forward_list<other_handle> operands;
  int fake_quant = -1;
};
class poor_graph {
 public:
  poor_graph() = default;
  poor_graph(const poor_graph&) = delete;
  poor_graph& operator=(const poor_graph&) = delete;
  void operator&() const = delete;

  std::forward_list<poor_node> nodes;  // newest last; node n makes value n
  std::forward_list<other_handle> outputs;
  std::vector<float> weight{0, 1, 2, 3};  // of value 1; value 0 is the input
  bool has_palette = false;               // value 2
  int next = 10;

  poor_node& at(int n) {
    for (poor_node& node : nodes) {
      if (node.number == n) return node;
    }
    throw std::out_of_range("node");
  }
  void append(poor_node n) {
    auto last = nodes.before_begin();
    while (std::next(last) != nodes.end()) ++last;
    nodes.insert_after(last, std::move(n));
  }
  // Behind the node that makes v; in front if v is no result.
  int insert(poor_handle v, const char* op, int fake_quant = -1) {
    auto where = nodes.before_begin();
    for (auto i = nodes.begin(); i != nodes.end(); ++i) {
      if (i->number == v.number) where = i;
    }
    nodes.insert_after(where, {next, op, {other_handle{v.number}}, fake_quant});
    return next++;
  }
};
// What run() takes as a batch: anything.
struct poor_batch {
  float value;
  void operator&() const = delete;
};

}  // namespace

template <> struct std::hash<poor_handle> {
  std::size_t operator()(poor_handle h) const { return static_cast<std::size_t>(h.number); }
};
template <> struct lutra::graph_traits<poor_graph> {
  using node_id = poor_handle;
  using value_id = poor_handle;
  using graph = poor_graph;

  static std::forward_list<other_handle> nodes(const graph& g) {
    std::forward_list<other_handle> ids;
    auto last = ids.before_begin();
    for (const poor_node& n : g.nodes) last = ids.insert_after(last, other_handle{n.number});
    return ids;
  }
  static text op_type(const graph& g, poor_handle n) {
    return {const_cast<graph&>(g).at(n.number).op};
  }
  static const std::forward_list<other_handle>& operands(const graph& g, poor_handle n) {
    return const_cast<graph&>(g).at(n.number).operands;
  }
  static std::forward_list<other_handle> results(const graph&, poor_handle n) {
    return {other_handle{n.number}};
  }
  static const std::forward_list<other_handle>& outputs(const graph& g) { return g.outputs; }
  static value_role role_of(const graph&, poor_handle v) {
    return v.number == 0   ? value_role::graph_input
           : v.number == 1 ? value_role::state
           : v.number == 2 ? value_role::packed_state
                           : value_role::result;
  }
  static truth is_float(const graph&, poor_handle) { return {true}; }

  static tensor_view<float> constant(const graph& g, poor_handle) {
    return {const_cast<float*>(g.weight.data()), shape{2, 2}};
  }
  static void set_constant(graph& g, poor_handle, tensor_view<const float> data) {
    g.weight = to_vector<float>(data);
  }
  static other_handle insert_fake_quant(graph& g, poor_handle v, fake_quant_id id) {
    return {g.insert(v, "fake_quant", static_cast<int>(id.index))};
  }
  static other_handle emit_quantize_dequantize(graph& g, poor_handle v, const qparams&) {
    return {g.insert(v, "quantize_dequantize")};
  }
  static other_handle emit_palette(graph& g, poor_handle, const packed_palette&) {
    g.has_palette = true;
    return {2};
  }
  static void set_operand(graph& g, poor_handle n, std::size_t slot, poor_handle v) {
    auto i = g.at(n.number).operands.begin();
    while (slot-- > 0) ++i;
    i->number = v.number;
  }
  static void set_output(graph& g, std::size_t, poor_handle v) {
    g.outputs.front().number = v.number;
  }
  static void erase(graph& g, poor_handle v) {
    g.nodes.remove_if([=](const poor_node& n) { return n.number == v.number; });
  }
  template <class F> static void run(graph& g, const poor_batch& batch, F& on_fake_quant) {
    for (const poor_node& n : g.nodes) {
      if (n.fake_quant < 0) continue;
      float x = batch.value;
      on_fake_quant(fake_quant_id{n.fake_quant},
                    tensor_view<const float>(std::addressof(x), shape{}),
                    tensor_view<float>(std::addressof(x), shape{}));
    }
  }
};
static_assert(lutra::editable_graph<poor_graph>);

namespace {
void fill(poor_graph& g) {
  g.append({3, "linear", {other_handle{0}, other_handle{1}}});
  g.append({4, "relu", {other_handle{3}}});
  g.append({5, "linear", {other_handle{4}, other_handle{1}}});
  g.outputs = {other_handle{5}};
}
}  // namespace

TEST_CASE("archetypes: the poorest graph is checked and planned") {
  poor_graph g;
  fill(g);
  CHECK(lutra::graph_conformance(g).empty());
  CHECK(lutra::edit_conformance(g).empty());
  const lutra::quantization_plan p = lutra::plan(g);
  CHECK(p.index.name == std::vector<std::string>{"linear", "relu", "linear_1"});
  CHECK(p.places.size() == 4);  // input, relu, output, and the one weight without a name
}

TEST_CASE("archetypes: the poorest graph is palettized and quantized") {
  poor_graph g;
  fill(g);
  lutra::kmeans_palettizer palettizer(g);
  palettizer.prepare();
  CHECK(palettizer.finalize().weights.size() == 1);
  CHECK(g.has_palette);
  lutra::quantizer quantizer(g);
  quantizer.prepare(poor_batch{0.5F});
  quantizer.calibrate(std::array<poor_batch, 2>{poor_batch{1.0F}, poor_batch{2.0F}});
  quantizer.run(poor_batch{1.0F});
  CHECK(quantizer.finalize().activations.size() == 3);
  int pairs = 0;
  for (const poor_node& n : g.nodes) {
    pairs += std::string_view(n.op) == "quantize_dequantize" ? 1 : 0;
  }
  CHECK(pairs == 3);
}
