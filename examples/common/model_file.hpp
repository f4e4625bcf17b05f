// lutra examples: model_file.hpp - a compressed ir::graph as one safetensors file, and back.
// SPDX-License-Identifier: Apache-2.0
//
// A palettized weight is stored as palette_tensors.hpp says, a dense state (a bias) as one F32 tensor
// under its name, the parameters of a quantize or dequantize node as NODE.scale F32 [1] and
// NODE.zero_point I32 [1]. Metadata: "lutra.schema" = "1" and "lutra.graph", the structure as JSON,
// with values and nodes numbered from 0 in the order of the lists. What no output depends on is left
// out. The bytes are a function of the graph alone. Reading checks everything a damaged file can
// claim.
#pragma once

#include <common/palette_tensors.hpp>
#include <common/strict_json.hpp>
#include <lutra/ir/verify.hpp>

namespace lutra_examples {

inline constexpr const char* graph_key = "lutra.graph";

// Collects the parts of a graph for the file. Refers to the graph.
class model_writer {
 public:
  explicit model_writer(const lutra::ir::graph& g) : graph_(g), number_(g.values.size(), -1) {
    lutra::ir::verify(g);
    std::vector<char> needed(g.values.size(), 0);
    for (const auto v : g.outputs) needed[index(v)] = 1;
    std::vector<const lutra::ir::node*> nodes;  // backwards
    for (auto n = g.order.rbegin(); n != g.order.rend(); ++n) {
      const lutra::ir::node& node = g.at(*n);
      const auto used = [&](lutra::ir::value_id v) { return needed[index(v)] != 0; };
      if (!std::ranges::any_of(node.results, used)) continue;
      for (const auto v : node.operands) needed[index(v)] = 1;
      nodes.push_back(&node);
    }
    for (const auto v : g.inputs) needed[index(v)] = 1;
    for (std::size_t v = 0; v < needed.size(); ++v) {
      if (needed[v] == 0) continue;
      number_[v] = static_cast<int>(values_.size());
      add_value(g.values[v]);
    }
    for (auto n = nodes.rbegin(); n != nodes.rend(); ++n) add_node(**n);
  }

  void write(const std::string& path) const {
    json modules = json::object();
    for (const auto& [module, type] : graph_.module_types) modules[module] = type;
    const json structure = {{"values", values_},
                            {"nodes", nodes_},
                            {"inputs", numbers(graph_.inputs)},
                            {"outputs", numbers(graph_.outputs)},
                            {"modules", modules}};
    std::map<std::string, std::string> metadata = metadata_;
    metadata["lutra.schema"] = palette_schema;
    metadata[graph_key] = structure.dump();
    write_safetensors(path, tensors_, metadata);
  }

 private:
  static std::size_t index(lutra::ir::value_id v) { return static_cast<std::size_t>(v.index); }
  json numbers(const std::vector<lutra::ir::value_id>& ids) const {
    json list = json::array();
    for (const auto v : ids) list.push_back(number_[index(v)]);
    return list;
  }
  template <class T>
  void add_tensor(std::string name, const lutra::shape& extents, const std::vector<T>& elements) {
    tensors_.push_back(tensor_of(std::move(name), extents, elements));
  }

  void add_value(const lutra::ir::value& v) {
    constexpr const char* roles[] = {"graph_input", "state", "packed_state", "result"};
    json entry = {
        {"name", v.name}, {"role", roles[static_cast<std::size_t>(v.role)]}, {"float", v.is_float}};
    if (v.role == lutra::value_role::state) {
      add_tensor(v.name, v.data.extents(), v.data.elements());
    }
    if (v.affine) {
      lutra::raise(lutra::errc::unsupported, "this file holds palettes only", v.name,
                   "an affine weight", "ir::save(), which keeps both");
    }
    if (v.palette) {
      lutra::check(*v.palette, v.name);
      add_palette(v.name, *v.palette, tensors_, metadata_);
    }
    values_.push_back(std::move(entry));
  }
  void add_node(const lutra::ir::node& n) {
    json entry = {{"op", n.op},
                  {"name", n.name},
                  {"module", n.module_path},
                  {"operands", numbers(n.operands)},
                  {"results", numbers(n.results)},
                  {"literals", n.literals}};
    if (n.op == "fake_quant") {
      lutra::raise(lutra::errc::invalid_state,
                   "a prepared graph cannot be saved: finalize it first", lutra::ir::label(n));
    }
    if (n.quantization) {
      const lutra::qparams& q = *n.quantization;
      if (q.granularity.kind() != lutra::granularity_kind::per_tensor ||
          q.qformulation != lutra::qformulation::zp || !lutra::is_integer(q.dtype)) {
        lutra::raise(lutra::errc::unsupported, "only per-tensor integer activations can be saved",
                     lutra::ir::label(n), std::string(name_of(q.dtype)));
      }
      entry["quantization"] = {{"dtype", std::string(name_of(q.dtype))},
                               {"quant_min", static_cast<int>(q.quant_min)},
                               {"quant_max", static_cast<int>(q.quant_max)}};
      add_tensor(n.name + ".scale", {1}, q.scale);
      add_tensor(n.name + ".zero_point", {1}, q.zero_point);
    }
    nodes_.push_back(std::move(entry));
  }

  const lutra::ir::graph& graph_;
  std::vector<int> number_;  // in the file, by value
  json values_ = json::array();
  json nodes_ = json::array();
  std::vector<tensor_bytes> tensors_;
  std::map<std::string, std::string> metadata_;  // of the palettes
};

// Rebuilds the graph of one file.
class model_loader {
 public:
  explicit model_loader(const std::string& path) : file_(path), path_(path) {}

  lutra::ir::graph load() {
    const auto schema = file_.metadata().find("lutra.schema");
    const auto graph = file_.metadata().find(graph_key);
    if (schema == file_.metadata().end() || schema->second != palette_schema ||
        graph == file_.metadata().end()) {
      lutra::raise(lutra::errc::unsupported, "not a model file of this version", path_,
                   schema == file_.metadata().end() ? "no schema" : "schema " + schema->second,
                   "schema " + std::string(palette_schema) + " with a graph");
    }
    const json structure = parse_strict_json(graph->second, path_);
    for (const json& v : list(member(structure, "values", path_), path_)) load_value(v);
    for (const json& n : list(member(structure, "nodes", path_), path_)) load_node(n);
    graph_.inputs = ids(member(structure, "inputs", path_), path_);
    graph_.outputs = ids(member(structure, "outputs", path_), path_);
    const json& modules = member(structure, "modules", path_);
    if (!modules.is_object()) bad_json("modules is not an object", path_);
    for (const auto& [module, type] : modules.items()) {
      graph_.module_types[module] = text(type, path_);
    }
    lutra::ir::verify(graph_);
    return std::move(graph_);
  }

 private:
  std::vector<lutra::ir::value_id> ids(const json& numbers, const std::string& where) const {
    std::vector<lutra::ir::value_id> out;
    const auto last = static_cast<lutra::index_t>(graph_.values.size()) - 1;
    for (const json& n : list(numbers, where)) out.push_back({integer(n, 0, last, where)});
    return out;
  }
  void load_value(const json& entry) {
    using lutra::value_role;
    const std::string at = path_ + ", value " + lutra::text_of(graph_.values.size());
    lutra::ir::value v;
    v.name = text(member(entry, "name", at), at);
    v.is_float = flag(member(entry, "float", at), at);
    const std::string role = text(member(entry, "role", at), at);
    if (role == "graph_input") {
      v.role = value_role::graph_input;
    } else if (role == "state") {
      v.role = value_role::state;
      v.data = file_.read<float>(v.name);
    } else if (role == "packed_state") {
      v.role = value_role::packed_state;
      v.palette = read_palette(file_, v.name);
    } else if (role != "result") {
      bad_json("unknown role", at, lutra::text_of(role));
    }
    graph_.values.push_back(std::move(v));
  }
  void load_node(const json& entry) {
    const std::string at = path_ + ", node " + lutra::text_of(graph_.nodes.size());
    const lutra::ir::node_id id{static_cast<lutra::index_t>(graph_.nodes.size())};
    lutra::ir::node n;
    n.op = text(member(entry, "op", at), at);
    n.name = text(member(entry, "name", at), at);
    n.module_path = text(member(entry, "module", at), at);
    n.operands = ids(member(entry, "operands", at), at);
    n.results = ids(member(entry, "results", at), at);
    for (const auto v : n.results) graph_.at(v).producer = id;
    const json& literals = member(entry, "literals", at);
    if (!literals.is_object()) bad_json("literals is not an object", at);
    for (const auto& [key, numbers] : literals.items()) {
      for (const json& x : list(numbers, at)) n.literals[key].push_back(number(x, at));
    }
    if (entry.contains("quantization")) n.quantization = load_parameters(entry, n.name, at);
    graph_.nodes.push_back(std::move(n));
    graph_.order.push_back(id);
  }
  lutra::qparams load_parameters(const json& entry, const std::string& name,
                                 const std::string& at) {
    const json& given = entry.at("quantization");
    lutra::qparams q;
    q.dtype = lutra::parse_dtype(text(member(given, "dtype", at), at));
    q.quant_min = static_cast<float>(integer(member(given, "quant_min", at), -128, 255, at));
    q.quant_max = static_cast<float>(integer(member(given, "quant_max", at), -128, 255, at));
    q.scale = file_.read<float>(name + ".scale").elements();
    q.zero_point = file_.read<std::int32_t>(name + ".zero_point").elements();
    lutra::check(q, at);
    return q;
  }

  safetensors_reader file_;
  std::string path_;
  lutra::ir::graph graph_;
};

// Raises invalid_state for a graph that still holds fake-quant nodes, io_error if the file cannot be
// written; an older file is then untouched.
inline void save_model(const std::string& path, const lutra::ir::graph& g) {
  model_writer(g).write(path);
}
inline lutra::ir::graph load_model(const std::string& path) { return model_loader(path).load(); }

}  // namespace lutra_examples
