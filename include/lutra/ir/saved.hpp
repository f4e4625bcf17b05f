// lutra: saved.hpp - a finalized ir::graph as bytes to keep or to send, and back: versioned and sealed.
// SPDX-License-Identifier: Apache-2.0
//
// Nodes, attributes, names, modules, constants, palettes, affine weights and quantization parameters come back bit
// for bit.
// Nodes and values are numbered anew, nodes as they run; what no node, input or output mentions (float
// weights behind compressed ones, erased slots) is left out. The bytes are a function of the graph alone, and saving a
// loaded graph gives the same ones.
//   magic, version; values: name, role, float or not, data; nodes: op, name, module, operands, results,
//   literals, parameters; inputs; outputs; module types; training or not; checksum
// A byte that is changed, missing or too many contradicts the checksum; what is behind it is checked all the
// same, and what is allocated is a bounded multiple of the bytes: a value takes 10 of them at least and some
// hundreds in memory. Linear. Pure functions; thread-safe.
#pragma once

#include <lutra/flow/palettizer_state.hpp>
#include <lutra/ir/saved_parameters.hpp>
#include <lutra/ir/verify.hpp>

namespace lutra::inline LUTRA_ABI::ir {

namespace saved_format {
inline constexpr std::uint32_t magic = 0x5249544CU;  // "LTIR"
inline constexpr std::uint32_t version = 2;
}  // namespace saved_format

// "value 'fc.weight'", for messages.
inline std::string label(const value& v) { return "value " + text_of(v.name); }

// Writes one graph. Refers to it.
class graph_writer {
 public:
  explicit graph_writer(const graph& g) : graph_(g), number_(g.values.size(), -1) { verify(g); }

  std::vector<std::uint8_t> run() {
    number_values();
    out_.u32(saved_format::magic);
    out_.u32(saved_format::version);
    out_.u64(kept_.size());
    for (const value* v : kept_) write(*v);
    out_.u64(graph_.order.size());
    for (const node_id n : graph_.order) write(graph_.at(n));
    write(graph_.inputs);
    write(graph_.outputs);
    out_.u64(graph_.module_types.size());
    for (const auto& [path, type] : graph_.module_types) {
      out_.text(path);
      out_.text(type);
    }
    out_.u8(graph_.training ? 1 : 0);
    return sealed(std::move(out_));
  }

 private:
  void number_values() {
    const auto keep = [&](const std::vector<value_id>& ids) {
      for (const value_id v : ids) number_[to_size(v.index)] = 0;
    };
    keep(graph_.inputs);
    keep(graph_.outputs);
    for (const node_id n : graph_.order) {
      keep(graph_.at(n).operands);
      keep(graph_.at(n).results);
    }
    for (std::size_t v = 0; v < number_.size(); ++v) {
      if (number_[v] < 0) continue;
      number_[v] = static_cast<index_t>(kept_.size());
      kept_.push_back(&graph_.values[v]);
    }
  }
  void write(const std::vector<value_id>& ids) {
    out_.u64(ids.size());
    for (const value_id v : ids) out_.i64(number_[to_size(v.index)]);
  }
  void write(const value& v) {
    const std::string name = label(v);
    const error_place here(name);
    out_.text(v.name);
    out_.u8(static_cast<std::uint8_t>(v.role));
    out_.u8(v.is_float ? 1 : 0);
    if (v.role == value_role::state) {
      out_.extents(v.data.extents());
      out_.f32s(v.data.elements());
    } else if (v.role == value_role::packed_state) {
      if (v.palette.has_value() == v.affine.has_value()) {
        raise(errc::invalid_graph, "a packed state without a palette or codes, or with both");
      }
      out_.u8(v.affine ? 1 : 0);
      if (v.palette) {
        check(*v.palette, "ir::save");
        save_palette(out_, *v.palette);
      } else {
        check(*v.affine, "ir::save");
        saved_format::write(out_, *v.affine);
      }
    }
  }
  void write(const node& n) {
    const node_place here(n);
    if (n.op == "fake_quant") {
      raise(errc::invalid_state, "the graph is not finalized", {}, "fake_quant",
            "quantizer::save() for what prepare() and calibration made");
    }
    out_.text(n.op);
    out_.text(n.name);
    out_.text(n.module_path);
    write(n.operands);
    write(n.results);
    out_.u64(n.literals.size());
    for (const auto& [key, numbers] : n.literals) {
      out_.text(key);
      out_.u64(numbers.size());
      for (const double x : numbers) out_.f64(x);
    }
    out_.u8(n.quantization ? 1 : 0);
    if (!n.quantization) return;
    check(*n.quantization, "ir::save");
    saved_format::write(out_, *n.quantization);
  }

  const graph& graph_;
  std::vector<index_t> number_;     // in the file, by value; -1: not there
  std::vector<const value*> kept_;  // in the order of the file
  state_writer out_;
};

// Reads one graph from bytes that were unsealed. What it reads is built piece by piece: a count is no allocation.
class graph_reader {
 public:
  graph_reader(std::span<const std::uint8_t> bytes, const char* where)
      : in_(bytes, where), where_(where) {}

  graph run() {
    in_.u64();  // magic and version, seen before
    for (std::size_t i = in_.count(smallest_value); i > 0; --i) graph_.values.push_back(a_value());
    mentioned_.assign(graph_.values.size(), 0);
    for (std::size_t i = in_.count(smallest_node); i > 0; --i) add_node();
    graph_.inputs = ids();
    graph_.outputs = ids();
    for (std::size_t i = in_.count(16); i > 0; --i) {
      std::string path = in_.text();
      add(graph_.module_types, std::move(path), in_.text());
    }
    graph_.training = in_.flag();
    in_.expect_end();
    refuse_unmentioned();
    verify(graph_);
    return std::move(graph_);
  }

 private:
  static constexpr std::size_t smallest_value = 10;
  static constexpr std::size_t smallest_node = 49;

  // Keys come in order, each once, as they were written.
  template <class T> void add(std::map<std::string, T>& map, std::string key, T what) {
    if (!map.empty() && !(map.rbegin()->first < key)) {
      in_.corrupt("keys out of order", text_of(std::string_view(key)), "ascending");
    }
    map.emplace_hint(map.end(), std::move(key), std::move(what));
  }
  // save() leaves such values out.
  void refuse_unmentioned() const {
    const std::size_t at = to_size(std::ranges::find(mentioned_, 0) - mentioned_.begin());
    if (at == mentioned_.size()) return;
    in_.corrupt("a value that nothing mentions",
                text_of(at) + ", " + text_of(graph_.values[at].name), "");
  }
  value a_value() {
    value v;
    v.name = in_.text();
    const std::string name = label(v);
    const error_place here(name);
    const std::uint8_t role = in_.u8();
    if (role > static_cast<std::uint8_t>(value_role::result)) {
      in_.corrupt("not a role of values", text_of(int{role}), range_text(0, 3));
    }
    v.role = static_cast<value_role>(role);
    v.is_float = in_.flag();
    if (v.role == value_role::state) {
      const shape extents = in_.extents();
      std::vector<float> elements = in_.f32s();
      if (static_cast<index_t>(elements.size()) != extents.size()) {
        in_.corrupt("elements do not match the shape", text_of(elements.size()), text_of(extents));
      }
      v.data = tensor<float>(extents, std::move(elements));
    } else if (v.role == value_role::packed_state) {
      if (in_.flag()) {
        v.affine = saved_format::read_affine(in_, where_);
      } else {
        v.palette = load_palette(in_, where_);
      }
    }
    return v;
  }
  std::vector<value_id> ids() {
    std::vector<value_id> made;
    const auto last = static_cast<index_t>(graph_.values.size()) - 1;
    for (std::size_t i = in_.count(8); i > 0; --i) {
      const std::int64_t v = in_.i64();
      if (v < 0 || v > last) {
        in_.corrupt("no such value", text_of(v), range_text<index_t>(0, last));
      }
      mentioned_[to_size(v)] = 1;
      made.push_back({static_cast<index_t>(v)});
    }
    return made;
  }
  void add_node() {
    const node_id id{static_cast<index_t>(graph_.nodes.size())};
    node n;
    n.op = in_.text();
    n.name = in_.text();
    const node_place here(n);
    n.module_path = in_.text();
    n.operands = ids();
    n.results = ids();
    for (const value_id v : n.results) graph_.at(v).producer = id;
    for (std::size_t i = in_.count(16); i > 0; --i) {
      std::string key = in_.text();
      std::vector<double> numbers(in_.count(8));
      for (double& x : numbers) x = in_.f64();
      add(n.literals, std::move(key), std::move(numbers));
    }
    if (in_.flag()) n.quantization = saved_format::read_qparams(in_, where_);
    if (n.op == "fake_quant") in_.corrupt("a graph that is not finalized", "fake_quant", "");
    graph_.nodes.push_back(std::move(n));
    graph_.order.push_back(id);
  }

  state_reader in_;
  std::string where_;
  graph graph_;
  std::vector<char> mentioned_;  // by value
};

// Raises invalid_graph for a graph that is none, invalid_state for one that is only prepared, and what the checks of
// its palettes and parameters raise.
inline std::vector<std::uint8_t> save(const graph& g) { return graph_writer(g).run(); }

// Raises corrupt_data for damaged bytes, unsupported for another version; for bytes that save() never wrote,
// sealed all the same, also what the checks of graphs, palettes and parameters raise.
inline graph load(std::span<const std::uint8_t> bytes) {
  const char* where = "ir::load";
  state_reader head(bytes, where);
  if (const std::uint32_t m = head.u32(); m != saved_format::magic) {
    head.corrupt("not a saved graph", text_of(m), text_of(saved_format::magic));
  }
  head.version(saved_format::version);
  return graph_reader(unsealed(bytes, where), where).run();
}

}  // namespace lutra::inline LUTRA_ABI::ir
