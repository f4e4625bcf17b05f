// Shorthand for looking at plans of toy graphs.
#pragma once

#include <doctest/doctest.h>
#include <lutra/graph/plan.hpp>

#include "toy_graph.hpp"

// A plan of a toy graph, addressed by the graph's own value ids.
struct looked_at {
  lutra::indexed_graph<toy::graph> indexed;
  lutra::quantization_plan plan;

  explicit looked_at(const toy::graph& g, const lutra::quantizer_config& c = {},
                     const lutra::plan_options& o = {})
      : indexed(lutra::index_of(g)), plan(lutra::plan(g, c, o)) {}

  lutra::index_t value(int v) const {
    for (std::size_t i = 0; i < indexed.values.size(); ++i) {
      if (indexed.values[i] == v) return static_cast<lutra::index_t>(i);
    }
    FAIL("no value " << v);
    return -1;
  }
  // Flat position of operand `slot` of the node that makes v.
  lutra::index_t operand(int v, int slot = 0) const {
    const lutra::graph_index& g = plan.index;
    return g.operands.begin[lutra::to_size(g.producer[lutra::to_size(value(v))])] + slot;
  }
  // Group of the fake-quantizer an operand reads, -1 if it reads float.
  lutra::index_t in(int v, int slot = 0) const {
    return group(plan.operand_place[lutra::to_size(operand(v, slot))]);
  }
  // Group of the value's own fake-quantizer.
  lutra::index_t out(int v) const { return group(plan.value_place[lutra::to_size(value(v))]); }
  lutra::index_t group(lutra::index_t place) const {
    return place < 0 ? -1 : plan.places[lutra::to_size(place)].group;
  }
  int bits(lutra::index_t group_number) const {
    return group_number < 0 ? 0 : lutra::bits_of(plan.settings_of(group_number).spec.dtype);
  }
  const lutra::decision& in_why(int v, int slot = 0) const {
    return plan.operand_decision[lutra::to_size(operand(v, slot))];
  }
  const lutra::decision& out_why(int v) const {
    return plan.value_decision[lutra::to_size(value(v))];
  }
  bool has_note(const std::string& part) const {
    for (const std::string& note : plan.notes) {
      if (note.find(part) != std::string::npos) return true;
    }
    return false;
  }
  lutra::index_t activation_places() const { return plan.count_places(false); }
  lutra::index_t weight_places() const { return plan.count_places(true); }
};

inline lutra::quantization_spec bits_spec(const char* dtype) {
  lutra::quantization_spec s;
  s.dtype = lutra::parse_dtype(dtype);
  return s;
}
inline const lutra::quantization_spec a8 = bits_spec("int8");
inline const lutra::quantization_spec a4 = bits_spec("int4");
