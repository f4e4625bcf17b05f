#include <lutra/affine/qparams.hpp>
#include <lutra/graph/known_range.hpp>

#include "plan_helpers.hpp"

using namespace lutra;

namespace {
looked_at planned(const toy::graph& g, known_range mode) {
  plan_options o;
  o.known_range = mode;
  return looked_at(g, {}, o);
}
struct known_range_net : toy::graph {
  int x = input();
  int relu, sigmoid, tanh, plain;
  known_range_net() {
    relu = op("relu", {op("linear", {x, state("a.weight")})});
    sigmoid = op("sigmoid", {op("linear", {relu, state("b.weight")})});
    tanh = op("tanh", {op("linear", {sigmoid, state("c.weight")})});
    plain = op("linear", {tanh, state("d.weight")});
    outputs = {plain};
  }
};
const quantization_spec& spec_of(const looked_at& p, int v) {
  return p.plan.settings_of(p.out(v)).spec;
}
}  // namespace

TEST_CASE("known_range: ignored changes nothing") {
  const known_range_net g;
  const looked_at p = planned(g, known_range::ignored);
  for (const int v : {g.relu, g.sigmoid, g.tanh, g.plain}) CHECK(spec_of(p, v) == a8);
}

TEST_CASE("known_range: scheme only") {
  const known_range_net g;
  const looked_at p = planned(g, known_range::scheme_only);
  CHECK(spec_of(p, g.relu).qscheme == qscheme::asymmetric);
  CHECK(spec_of(p, g.sigmoid).qscheme == qscheme::asymmetric);
  CHECK(spec_of(p, g.tanh).qscheme == qscheme::symmetric);
  CHECK(spec_of(p, g.plain) == a8);
  CHECK(spec_of(p, g.relu).dtype == dtype::int8);
  CHECK(p.has_note("relu: known range, now asymmetric int8"));
}

TEST_CASE("known_range: fixed ranges give the documented parameters") {
  const known_range_net g;
  const looked_at p = planned(g, known_range::fixed);
  const quantization_spec s = spec_of(p, g.sigmoid);
  CHECK(s.dtype == dtype::uint8);
  CHECK(s.float_range.lo == 0.0F);
  CHECK(s.float_range.hi == 255.0F / 256.0F);
  const quantization_spec t = spec_of(p, g.tanh);
  CHECK(t.qscheme == qscheme::asymmetric);
  CHECK(t.float_range.lo == -1.0F);
  CHECK_FALSE(spec_of(p, g.relu).float_range.hi);
  const auto params = [](const quantization_spec& spec) {
    const float lo[] = {*spec.float_range.lo};
    const float hi[] = {*spec.float_range.hi};
    return qparams_from_range(spec, lo, hi);
  };
  CHECK(params(s).scale[0] == 1.0F / 256.0F);
  CHECK(params(s).zero_point[0] == 0);
  CHECK(params(t).scale[0] == 2.0F / 256.0F);
  CHECK(params(t).zero_point[0] == 128);
}

TEST_CASE("known_range: shared fake-quantizers change as a whole or not at all") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("relu", {g.op("linear", {x, g.state("a.weight")})});
  const int b = g.op("relu", {g.op("linear", {x, g.state("b.weight")})});
  const int both = g.op("cat", {a, b});
  const int c = g.op("linear", {both, g.state("c.weight")});
  const int mixed = g.op("cat", {c, g.op("relu", {g.op("add", {both, x})})});
  g.outputs = {g.op("max_pool1d", {mixed})};
  const looked_at p = planned(g, known_range::scheme_only);
  CHECK(spec_of(p, both).qscheme == qscheme::asymmetric);
  CHECK(spec_of(p, mixed).qscheme == qscheme::symmetric);
  CHECK(p.has_note("range is known, but shared with tensors of other ops"));
}

TEST_CASE("known_range: hardtanh with the bounds 0 and 6 is a relu6, others are not") {
  toy::graph g;
  const int x = g.input();
  const auto behind = [&](const char* op, const char* weight) {
    return g.op(op, {g.op("linear", {x, g.state(weight)})});
  };
  const int six = behind("hardtanh", "a.weight");
  const int one = behind("hardtanh_", "b.weight");
  const int open = behind("hardtanh", "c.weight");
  const int relu6 = behind("relu6", "d.weight");
  g.literals[six] = {{"min_val", 0.0}, {"max_val", 6.0}};
  g.literals[one] = {{"min_val", 0.0}, {"max_val", 1.0}};
  g.literals[open] = {{"max_val", 6.0}};  // the other is -1
  g.outputs = {six, one, open, relu6};
  const looked_at p = planned(g, known_range::scheme_only);
  CHECK(spec_of(p, six).qscheme == qscheme::asymmetric);
  CHECK(spec_of(p, relu6).qscheme == qscheme::asymmetric);
  CHECK(spec_of(p, one).qscheme == qscheme::symmetric);
  CHECK(spec_of(p, open).qscheme == qscheme::symmetric);
  const graph_index& index = p.plan.index;
  CHECK(index.relu6.size() == 1);
  CHECK(index.is_relu6(index.producer[to_size(p.value(relu6))]));
}
