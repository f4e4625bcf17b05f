#include <lutra/graph/place.hpp>

#include "plan_helpers.hpp"

using namespace lutra;

namespace {
// x -> linear "p" -> linear "c1", linear "c2", div; everything is an output.
struct fan_out : toy::graph {
  int x = input();
  int p, c1, c2, d;
  fan_out() {
    p = op("linear", {x, state("p.weight")}, "p");
    c1 = op("linear", {p, state("c1.weight")}, "c1");
    c2 = op("linear", {p, state("c2.weight")}, "c2");
    d = op("div", {p, x}, "d");
    outputs = {c1, c2, d, p};
  }
};
const module_config in8{.op_state_spec = off, .op_input_spec = {{"*", a8}}, .op_output_spec = off};
const module_config in4{.op_state_spec = off, .op_input_spec = {{"*", a4}}, .op_output_spec = off};
const module_config out8{.op_state_spec = off, .op_input_spec = off, .op_output_spec = {{"*", a8}}};
const module_config out4{.op_state_spec = off, .op_input_spec = off, .op_output_spec = {{"*", a4}}};
looked_at planned(const toy::graph& g, const module_config& p, const module_config& c1,
                  const module_config& c2, bool consumers_first = false) {
  quantizer_config c{.global_config = off};
  if (consumers_first) {
    g.types.size();
    c.module_type_configs = {{"t.P", p}};
    c.module_name_configs = {{"c1", c1}, {"c2", c2}};
  } else {
    c.module_name_configs = {{"p", p}, {"c1", c1}, {"c2", c2}};
  }
  return looked_at(g, c);
}
}  // namespace

TEST_CASE("place: producer on, consumer on: one fake-quantizer, the producer's") {
  const fan_out g;
  const looked_at p = planned(g, out8, in4, in8);
  CHECK(p.bits(p.out(g.p)) == 8);
  CHECK(p.in(g.c1) == p.out(g.p));
  CHECK(p.in(g.c2) == p.out(g.p));
  CHECK(p.activation_places() == 1);
  CHECK(p.in(g.d) == p.out(g.p));      // all readers
  CHECK(p.plan.output_place[3] >= 0);  // and the graph output
  CHECK(p.plan.output_place[0] == -1);
}

TEST_CASE("place: consumers of higher priority: the first one's spec, the other in series") {
  fan_out g;
  g.types["p"] = "t.P";
  const looked_at p = planned(g, out8, in4, in8, true);
  CHECK(p.bits(p.out(g.p)) == 4);
  CHECK(p.in(g.c1) == p.out(g.p));
  CHECK(p.bits(p.in(g.c2)) == 8);
  CHECK(p.in(g.c2) != p.out(g.p));
  CHECK(p.activation_places() == 2);
  CHECK(p.has_note("reads two fake-quantizers in series"));
}

TEST_CASE("place: producer off: consumers share equal specs, others stand in parallel") {
  const fan_out g;
  {
    const looked_at p = planned(g, off, in8, in8);
    CHECK(p.in(g.c1) == p.in(g.c2));
    CHECK(p.activation_places() == 1);
    CHECK(p.in(g.d) == -1);
    CHECK(p.out(g.p) == -1);
    CHECK(p.plan.output_place[3] == -1);
  }
  const looked_at p = planned(g, off, in8, in4);
  CHECK(p.in(g.c1) != p.in(g.c2));
  CHECK(p.activation_places() == 2);
  for (const plan_node& place : p.plan.places) CHECK(place.after == -1);
}

TEST_CASE("place: specs that differ in what sharing ignores are merged with a note") {
  const fan_out g;
  quantization_spec other = a8;
  other.averaging_constant = 0.5;
  const module_config in_other{
      .op_state_spec = off, .op_input_spec = {{"*", other}}, .op_output_spec = off};
  const looked_at p = planned(g, off, in8, in_other);
  CHECK(p.in(g.c1) == p.in(g.c2));
  CHECK(p.has_note("are merged into one fake-quantizer"));
  quantization_spec clipped = a8;
  clipped.qscheme = qscheme::symmetric_with_clipping;
  const module_config in_clipped{
      .op_state_spec = off, .op_input_spec = {{"*", clipped}}, .op_output_spec = off};
  CHECK(planned(g, off, in8, in_clipped).in(g.c2) != planned(g, off, in8, in_clipped).in(g.c1));
}

TEST_CASE("place: flatten between one range forces per-tensor, neighbours keep theirs") {
  toy::graph g;
  const int x = g.input();
  const int c = g.op("conv2d", {x, g.state("c.weight")});
  const int f = g.op("flatten", {c});
  const int l = g.op("linear", {f, g.state("l.weight")});
  g.outputs = {l};
  quantization_spec c8 = a8;
  c8.granularity = granularity::per_channel(1);
  const looked_at p(
      g, {.global_config = {.op_input_spec = {{"*", c8}}, .op_output_spec = {{"*", c8}}}});
  const auto kind = [&](index_t group) {
    return p.plan.settings_of(group).spec.granularity.kind();
  };
  CHECK(kind(p.out(f)) == granularity_kind::per_tensor);
  CHECK(kind(p.in(c)) == granularity_kind::per_channel);
  CHECK(kind(p.out(l)) == granularity_kind::per_channel);
  CHECK(p.has_note("becomes per_tensor, shared across flatten"));
}

TEST_CASE("place: open weight axes follow from the consumers") {
  toy::graph g;
  const int x = g.input();
  const int up = g.state("up.weight");
  const int a = g.op("conv_transpose2d", {x, up}, "up");
  const int b = g.op("linear", {a, g.state("l.weight")}, "l");
  g.outputs = {b};
  const auto config = [](const granularity& open) {
    quantization_spec w = a8;
    w.granularity = open;
    return quantizer_config{.global_config = {.op_state_spec = {{"weight", w}}}};
  };
  {
    const looked_at p(g, config(granularity::per_channel()));
    CHECK(p.plan.settings_of(p.in(a, 1)).spec.granularity.axis() == 1);
    CHECK(p.plan.settings_of(p.in(b, 1)).spec.granularity.axis() == 0);
  }
  {
    const looked_at p(g, config(granularity::per_block(4)));
    CHECK(p.plan.settings_of(p.in(a, 1)).spec.granularity.axis() == 0);
    CHECK(p.plan.settings_of(p.in(b, 1)).spec.granularity.axis() == 1);
  }
  g.maker(b).operands[1] = up;  // shared by ops that disagree
  try {
    looked_at(g, config(granularity::per_channel()));
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.problem() == "axis is unresolved");
    CHECK(e.value() == "up.weight (per_channel: its consumers disagree)");
  }
}

TEST_CASE("place: activations need an explicit axis; all offenders are listed, sorted") {
  toy::graph g;
  const int x = g.input();
  const int w = g.state("a.weight");
  g.outputs = {g.op("matmul", {x, w})};
  quantization_spec open = a8;
  open.granularity = granularity::per_channel();
  try {
    looked_at(g, {.global_config = {.op_state_spec = {{"*", open}},
                                    .op_input_spec = {{"*", open}},
                                    .op_output_spec = off}});
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.code() == errc::invalid_argument);
    CHECK(e.value() ==
          "a.weight (per_channel: no consumer with a default axis); "
          "input 0 (per_channel: an activation needs an explicit axis)");
  }
}

TEST_CASE("place: a shared range is per tensor across ops that move, drop or cut axes") {
  quantization_spec channels = a8;
  channels.granularity = granularity::per_channel(1);
  const quantizer_config c{
      .global_config = {.op_input_spec = off, .op_output_spec = {{"*", channels}}}};
  plan_options o;
  o.patterns.add(shape_patterns());
  for (const char* op : {"squeeze", "slice", "split", "chunk", "pad", "reshape", "flatten"}) {
    CAPTURE(op);
    toy::graph g;
    const int a = g.op("linear", {g.input(), g.state("a.weight")});
    const int s = g.op(op, {a});
    const int second = g.add({});  // of several results, one that is quantized is enough
    g.maker(s).results.insert(g.maker(s).results.begin(), second);
    g.values.at(second).is_float = false;
    g.outputs = {s};
    const looked_at p(g, c, o);
    REQUIRE(p.out(s) >= 0);
    CHECK(p.out(s) == p.out(a));
    CHECK(p.plan.settings_of(p.out(s)).spec.granularity.kind() == granularity_kind::per_tensor);
    CHECK(p.has_note("becomes per_tensor, shared across"));
  }
  toy::graph g;
  const int a = g.op("linear", {g.input(), g.state("a.weight")});
  const int s = g.op("max_pool2d", {a});
  g.outputs = {s};
  const looked_at p(g, c, o);
  CHECK(p.out(s) == p.out(a));
  CHECK(p.plan.settings_of(p.out(s)).spec.granularity == granularity::per_channel(1));
}
