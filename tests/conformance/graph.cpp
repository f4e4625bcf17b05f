// Conformance of plan() with graph.json: builds each graph and config, plans, compares placements.
#include <lutra/graph/plan.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "report.hpp"

namespace {

using json = nlohmann::json;
using lutra::index_t;

// The graph of the file, as it is written there: names are the handles.
struct case_graph {
  struct node {
    std::string name, op, module_path;
    std::vector<std::string> operands;
  };
  std::vector<node> nodes;
  std::vector<std::string> outputs;
  std::map<std::string, std::string> module_types;
  std::map<std::string, std::vector<std::string>> shared_states;
  std::vector<std::string> not_float;
};

}  // namespace

template <> struct lutra::graph_traits<case_graph> {
  using node_id = index_t;
  using value_id = std::string;

  static const case_graph::node& at(const case_graph& g, index_t n) {
    return g.nodes[static_cast<std::size_t>(n)];
  }
  static std::vector<index_t> nodes(const case_graph& g) {
    std::vector<index_t> ids(g.nodes.size());
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<index_t>(i);
    return ids;
  }
  static const std::string& op_type(const case_graph& g, index_t n) { return at(g, n).op; }
  static const std::string& name(const case_graph& g, index_t n) { return at(g, n).name; }
  static const std::string& module_path(const case_graph& g, index_t n) {
    return at(g, n).module_path;
  }
  static std::string module_type(const case_graph& g, std::string_view path) {
    const auto found = g.module_types.find(std::string(path));
    return found == g.module_types.end() ? std::string() : found->second;
  }
  static const std::vector<std::string>& operands(const case_graph& g, index_t n) {
    return at(g, n).operands;
  }
  static std::vector<std::string> results(const case_graph& g, index_t n) {
    return {at(g, n).name};
  }
  static const std::vector<std::string>& outputs(const case_graph& g) { return g.outputs; }
  static value_role role_of(const case_graph& g, const std::string& v) {
    if (v[0] == '@') return value_role::state;
    if (v[0] == '%') return value_role::packed_state;
    for (const auto& n : g.nodes) {
      if (n.name == v) return value_role::result;
    }
    return value_role::graph_input;
  }
  static bool is_float(const case_graph& g, const std::string& v) {
    return std::find(g.not_float.begin(), g.not_float.end(), v) == g.not_float.end();
  }
  static std::vector<std::string> state_names(const case_graph& g, const std::string& v) {
    const auto found = g.shared_states.find(v);
    return found == g.shared_states.end() ? std::vector<std::string>{v.substr(1)} : found->second;
  }
};
static_assert(lutra::readable_graph<case_graph>);

namespace {

// Module types are short names in the file; the library requires dotted ones.
std::string dotted(const std::string& type) { return "modules." + type; }

case_graph read_graph(const json& j) {
  case_graph g;
  for (const std::string input : j.at("inputs")) {
    const std::size_t colon = input.find(':');
    if (colon != std::string::npos) g.not_float.push_back(input.substr(0, colon));
  }
  for (const json& n : j.at("nodes")) {
    g.nodes.push_back({n.at(0), n.at(1), n.at(3), n.at(2).get<std::vector<std::string>>()});
  }
  g.outputs = j.at("outputs").get<std::vector<std::string>>();
  if (j.contains("nonfloat")) {
    for (const std::string v : j.at("nonfloat")) g.not_float.push_back(v);
  }
  if (j.contains("module_types")) {
    for (const auto& [path, type] : j.at("module_types").items()) {
      g.module_types[path] = dotted(type.get<std::string>());
    }
  }
  if (j.contains("shared_states")) {
    for (const auto& [state, names] : j.at("shared_states").items()) {
      g.shared_states[state] = names.get<std::vector<std::string>>();
    }
  }
  return g;
}

// ---- config ---------------------------------------------------------------------------------------
lutra::quantization_spec read_spec(const json& j) {
  if (j.is_null()) return lutra::off;
  const std::string code = j;
  lutra::quantization_spec s;
  s.dtype = lutra::parse_dtype("int" + code.substr(1));
  if (code[0] == 'W') s.granularity = lutra::granularity::per_channel(0);
  if (code[0] == 'C') s.granularity = lutra::granularity::per_channel(1);
  return s;
}
template <class Map> void read_map(const json& j, const char* field, Map& map) {
  if (!j.contains(field)) return;  // omitted: keep the default
  map = {};
  if (j.at(field).is_null()) return;
  for (const auto& [key, spec] : j.at(field).items()) map.set(key, read_spec(spec));
}
template <class Config> void read_op_maps(const json& j, Config& c) {
  read_map(j, "op_input_spec", c.op_input_spec);
  read_map(j, "op_output_spec", c.op_output_spec);
  read_map(j, "op_state_spec", c.op_state_spec);
}
lutra::op_config read_op(const json& j) {
  if (j.is_null()) return lutra::off;
  lutra::op_config c;
  read_op_maps(j, c);
  return c;
}
lutra::module_config read_module(const json& j) {
  if (j.is_null()) return lutra::off;
  lutra::module_config c;
  read_op_maps(j, c);
  read_map(j, "module_input_spec", c.module_input_spec);
  read_map(j, "module_output_spec", c.module_output_spec);
  read_map(j, "module_state_spec", c.module_state_spec);
  if (j.contains("op_type_config")) {
    for (const auto& [key, op] : j.at("op_type_config").items()) {
      c.op_type_config.set(key, read_op(op));
    }
  }
  if (j.contains("op_name_config")) {
    for (const auto& [key, op] : j.at("op_name_config").items()) {
      c.op_name_config.set(key, read_op(op));
    }
  }
  return c;
}
lutra::quantizer_config read_config(const json& j) {
  lutra::quantizer_config c;
  if (j.contains("global_config")) c.global_config = read_module(j.at("global_config"));
  if (j.contains("module_type_configs")) {
    for (const auto& [key, module] : j.at("module_type_configs").items()) {
      c.module_type_configs.set(dotted(key), read_module(module));
    }
  }
  if (j.contains("module_name_configs")) {
    for (const auto& [key, module] : j.at("module_name_configs").items()) {
      c.module_name_configs.set(key, read_module(module));
    }
  }
  return c;
}
lutra::plan_options read_options(const json& j) {
  lutra::plan_options options;
  if (j.contains("extra_patterns")) {
    for (const std::string op : j.at("extra_patterns")) {
      options.patterns.add({op, lutra::pattern_kind::nary, {{op}}});
    }
  }
  return options;
}

// ---- comparison -----------------------------------------------------------------------------------
class comparison {
 public:
  comparison(const lutra::quantization_plan& plan, const json& expected)
      : plan_(plan), g_(plan.index), expected_(expected) {}

  // Empty if everything agrees; else pairs of texts "expected" and "got".
  bool agrees() {
    count("n_act_fq", plan_.count_places(false));
    count("n_state_fq", plan_.count_places(true));
    count("n_instances", static_cast<index_t>(plan_.groups.size()));
    if (expected_.contains("nodes")) {
      for (const auto& [name, facts] : expected_.at("nodes").items()) node(name, facts);
    }
    objects("same_object", true);
    objects("different_object", false);
    return wanted_.empty();
  }
  const std::string& wanted() const { return wanted_; }
  const std::string& got() const { return got_; }

 private:
  static constexpr index_t none = -1;

  void differ(const std::string& what, const std::string& wanted, const std::string& got) {
    const char* separator = wanted_.empty() ? "" : "; ";
    wanted_ += separator + what + " " + wanted;
    got_ += separator + what + " " + got;
  }
  void count(const char* what, index_t got) {
    if (expected_.contains(what) && expected_.at(what) != got) {
      differ(what, expected_.at(what).dump(), std::to_string(got));
    }
  }
  index_t find_node(const std::string& name) const {
    for (index_t n = 0; n < g_.node_count(); ++n) {
      if (g_.name[lutra::to_size(n)] == name) return n;
    }
    throw std::runtime_error("no node " + name);
  }
  // Places feeding the operands that are states, or those that are not.
  std::vector<std::pair<index_t, index_t>> operands(index_t n, bool states) const {
    std::vector<std::pair<index_t, index_t>> found;  // value, place
    const index_t begin = g_.operands.begin[lutra::to_size(n)];
    for (index_t u = begin; u < g_.operands.begin[lutra::to_size(n) + 1]; ++u) {
      const index_t v = g_.operands.items[lutra::to_size(u)];
      if (g_.is_state(v) == states) {
        found.emplace_back(v, plan_.operand_place[lutra::to_size(u)]);
      }
    }
    return found;
  }
  // The place that reads the result of a node, whoever asked for it.
  index_t output_place(index_t n) const {
    const index_t v = g_.results[n][0];
    const index_t own = plan_.value_place[lutra::to_size(v)];
    if (own != none) return own;
    for (std::size_t i = 0; i < plan_.places.size(); ++i) {
      if (plan_.places[i].value == v) return static_cast<index_t>(i);
    }
    return none;
  }
  index_t state_place(index_t n, const std::string& full_name) const {
    for (const auto& [v, place] : operands(n, true)) {
      if (g_.role[lutra::to_size(v)] == lutra::value_role::packed_state) {
        // A palette has no name; the file calls it by its value.
        if (full_name.rfind("lut_", 0) == 0) return place;
      }
      for (const std::string& name : g_.state_names[lutra::to_size(v)]) {
        if (name == full_name) return place;
      }
    }
    throw std::runtime_error("no state " + full_name);
  }
  std::string bits(index_t place) const {
    if (place == none) return "float";
    const auto group = plan_.places[lutra::to_size(place)].group;
    return std::to_string(lutra::bits_of(plan_.settings_of(group).spec.dtype));
  }
  static json flags(const std::vector<std::pair<index_t, index_t>>& found) {
    json list = json::array();
    for (const auto& f : found) list.push_back(f.second != none);
    return list;
  }
  void expect(const std::string& what, const json& wanted, const json& got) {
    if (wanted != got) differ(what, wanted.dump(), got.dump());
  }
  void any_or_each(const std::string& what, const json& wanted, const json& each) {
    if (wanted.is_boolean()) {
      expect(what, wanted, std::find(each.begin(), each.end(), true) != each.end());
    } else {
      expect(what, wanted, each);
    }
  }
  void node(const std::string& name, const json& facts) {
    const index_t n = find_node(name);
    for (const auto& [key, value] : facts.items()) {
      const std::string what = name + "." + key;
      if (key == "in") {
        any_or_each(what, value, flags(operands(n, false)));
      } else if (key == "out") {
        expect(what, value, output_place(n) != none);
      } else if (key == "state" && value.is_boolean()) {
        any_or_each(what, value, flags(operands(n, true)));
      } else if (key == "state") {
        for (const auto& [state, on] : value.items()) {
          expect(what + "[" + state + "]", on, state_place(n, state) != none);
        }
      } else if (key == "state_dtype") {
        for (const auto& [state, dtype] : value.items()) {
          expect(what + "[" + state + "]", dtype, bits(state_place(n, state)));
        }
      } else if (key == "in_dtype") {
        json got = json::array();
        // Positions are distinct tensors; states count where the case lists them.
        for (const auto& f : operands(n, false)) got.push_back(bits(f.second));
        expect(what, value, got);
      } else if (key == "out_dtype") {
        expect(what, value, json::array({bits(output_place(n))}));
      } else {
        throw std::runtime_error("unknown fact " + key);
      }
    }
  }
  // "node:in:slot" or "node:out" -> fake-quantizer.
  index_t instance(const std::string& text) const {
    const std::size_t colon = text.find(':');
    const index_t n = find_node(text.substr(0, colon));
    const std::string rest = text.substr(colon + 1);
    const index_t place =
        rest == "out" ? output_place(n) : operands(n, false).at(std::stoul(rest.substr(3))).second;
    if (place == none) throw std::runtime_error(text + " is not quantized");
    return plan_.places[lutra::to_size(place)].group;
  }
  void objects(const char* what, bool same) {
    if (!expected_.contains(what)) return;
    for (const json& list : expected_.at(what)) {
      const index_t first = instance(list.at(0));
      for (std::size_t i = 1; i < list.size(); ++i) {
        const bool equal = instance(list.at(i)) == first;
        if (equal != same) differ(what, list.dump(), equal ? "one instance" : "several instances");
      }
    }
  }

  const lutra::quantization_plan& plan_;
  const lutra::graph_index& g_;
  const json& expected_;
  std::string wanted_, got_;
};

void run_case(const json& graphs, const json& c, conformance_report& report) {
  const std::string id = c.at("id");
  const json& expected = c.at("expect");
  const bool error_expected = expected.contains("error");
  try {
    const case_graph g = read_graph(graphs.at(c.at("graph").get<std::string>()));
    const lutra::quantization_plan plan =
        lutra::plan(g, read_config(c.at("config")), read_options(c));
    comparison compare(plan, expected);
    if (error_expected) {
      report.fail(id, "an error", "a plan");
    } else if (compare.agrees()) {
      report.pass(id);
    } else {
      report.fail(id, compare.wanted(), compare.got());
    }
  } catch (const lutra::error& e) {
    if (error_expected) {
      report.pass(id);
    } else {
      report.fail(id, expected.dump(), e.what());
    }
  } catch (const std::exception& e) {
    report.fail(id, expected.dump(), e.what());
  }
}

}  // namespace

void run_graph(const json& file, conformance_report& report) {
  for (const json& c : file.at("cases")) run_case(file.at("graphs"), c, report);
}
