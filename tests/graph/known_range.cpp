#include <lutra/affine/qparams.hpp>
#include <lutra/graph/known_range.hpp>
#include <lutra/observe/known_range.hpp>

#include "plan_helpers.hpp"

using namespace lutra;

namespace {
looked_at planned(const toy::graph& g, known_range mode, const quantizer_config& c = {}) {
  plan_options o;
  o.known_range = mode;
  return looked_at(g, c, o);
}
// Every activation by this spec.
quantizer_config activations(const quantization_spec& s) {
  return {.global_config = {
              .op_state_spec = {}, .op_input_spec = {{"*", s}}, .op_output_spec = {{"*", s}}}};
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
// Of the first operand of the op that makes v: a softmax is quantized by who reads it.
const quantization_spec& read_by(const looked_at& p, int v) {
  REQUIRE(p.in(v) >= 0);
  return p.plan.settings_of(p.in(v)).spec;
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

TEST_CASE("known_range: the result of a softmax is that of a sigmoid") {
  toy::graph g;
  const int softmax = g.op("softmax", {g.op("linear", {g.input(), g.state("a.weight")})});
  const int reader = g.op("linear", {softmax, g.state("b.weight")});
  const int log_softmax = g.op("log_softmax", {reader});
  const int last = g.op("linear", {log_softmax, g.state("c.weight")});
  g.outputs = {last};
  const looked_at scheme = planned(g, known_range::scheme_only);
  CHECK(read_by(scheme, reader).qscheme == qscheme::asymmetric);
  CHECK(read_by(scheme, last) == a8);
  const quantization_spec s = read_by(planned(g, known_range::fixed), reader);
  CHECK(s.dtype == dtype::uint8);
  CHECK(s.float_range == float_range_t{0.0F, 255.0F / 256.0F});
}

TEST_CASE("known_range: fixed keeps the width; its parameters are those of known_range_qparams") {
  for (const char* op : {"sigmoid", "hardsigmoid", "softmax", "tanh"}) {
    toy::graph g;
    const int bounded = g.op(op, {g.op("linear", {g.input(), g.state("a.weight")})});
    const int reader = g.op("linear", {bounded, g.state("b.weight")});
    g.outputs = {reader};
    for (auto d = dtype::int1; d <= dtype::uint8; d = static_cast<dtype>(static_cast<int>(d) + 1)) {
      CAPTURE(op);
      CAPTURE(name_of(d));
      const looked_at p = planned(g, known_range::fixed, activations({.dtype = d}));
      const quantization_spec s = read_by(p, reader);
      REQUIRE(bits_of(s.dtype) == bits_of(d));
      CHECK(name_of(s.dtype).front() == 'u');
      REQUIRE(s.float_range.lo);
      REQUIRE(s.float_range.hi);
      const qparams made = qparams_from_range(s, {&*s.float_range.lo, 1}, {&*s.float_range.hi, 1});
      const qparams documented = *known_range_qparams(op, {.dtype = s.dtype, .qscheme = s.qscheme});
      CHECK(made.scale[0] == documented.scale[0]);
      CHECK(made.zero_point[0] == documented.zero_point[0]);
      CHECK(made.minval[0] == documented.minval[0]);
      const bool tanh = std::string_view(op) == "tanh";
      CHECK(made.scale[0] == (tanh ? 2.0F : 1.0F) / static_cast<float>(1 << bits_of(d)));
    }
  }
}

TEST_CASE(
    "known_range: a scheme that becomes asymmetric loses no_clipping, which is of symmetric ones") {
  const known_range_net g;
  quantization_spec configured;
  configured.scale_rules = {.no_clipping = true, .floor = scale_floor::relative};
  for (const known_range mode : {known_range::scheme_only, known_range::fixed}) {
    const looked_at p = planned(g, mode, activations(configured));
    for (const int v : {g.relu, g.sigmoid, g.tanh, g.plain}) {
      const quantization_spec& s = spec_of(p, v);
      check(s, "planned");
      CHECK(s.scale_rules.no_clipping == (s.qscheme == qscheme::symmetric));
      CHECK(s.scale_rules.floor == scale_floor::relative);
    }
    CHECK(spec_of(p, g.plain) == configured);
    CHECK(p.has_note("relu: known range, now asymmetric int8, without no_clipping"));
  }
}
