#include <lutra/graph/pattern_annotator.hpp>

#include "errors.hpp"
#include "plan_helpers.hpp"

using namespace lutra;

namespace {
// x, w -> linear -> custom op over (linear, x, state) with two results -> relu -> linear
struct annotated_graph : toy::graph {
  int x, l, op, second, s, r, out;
  annotated_graph() {
    x = input();
    l = this->toy::graph::op("linear", {x, state("l.weight")}, "l");
    s = state("a.table");
    op = this->toy::graph::op("attend", {l, x, s}, "a");
    second = add({});
    maker(op).results.push_back(second);
    r = this->toy::graph::op("relu", {op});
    out = this->toy::graph::op("linear", {r, state("o.weight")}, "o");
    outputs = {out, second};
  }
};
looked_at annotated(const toy::graph& g, std::function<void(pattern_annotator&)> annotator,
                    const quantizer_config& config = {},
                    std::vector<std::string> chain = {"attend", "relu"}) {
  plan_options options;
  options.patterns.add({.key = "attention",
                        .kind = pattern_kind::custom,
                        .chains = {std::move(chain)},
                        .annotator = std::move(annotator)});
  return looked_at(g, config, options);
}
}  // namespace

TEST_CASE("pattern_annotator: what it does not mention is off, with its name in the reason") {
  const annotated_graph g;
  CHECK(looked_at(g).in_why(g.op, 1).why == reason::unregistered_op);
  const looked_at p =
      annotated(g, [](pattern_annotator& a) { CHECK(a.nodes().size() == 1); }, {}, {"attend"});
  CHECK(p.in(g.op, 1) == -1);
  CHECK(p.in_why(g.op, 1).why == reason::by_annotator);
  CHECK(p.plan.describe(p.in_why(g.op, 1)) == "off by the annotator of pattern 'attention'");
  CHECK(p.out_why(g.op).why == reason::by_annotator);
  CHECK(p.out_why(g.second).why == reason::by_annotator);
  CHECK(p.in(g.op, 0) == p.out(g.l));  // the producer's own output is not its business
}

TEST_CASE("pattern_annotator: by the rules, the config of the key node decides") {
  toy::graph one;
  const int x = one.input();
  const int s = one.state("a.table");
  const int op = one.op("attend", {x, s, x}, "a");
  const int r = one.op("relu", {op});
  one.outputs = {r};
  const auto by_rules = [&](pattern_annotator& a) {
    a.input(a.key(), 0);
    a.input(a.key(), 1);
    a.output(a.nodes().back());
  };
  quantizer_config config;
  config.global_config.op_type_config = {
      {"attend", {.op_state_spec = {{"table", a8}}, .op_input_spec = {{0, a4}}}}};
  const looked_at p = annotated(one, by_rules, config);
  CHECK(p.bits(p.in(op, 0)) == 4);
  CHECK(p.in_why(op, 0).why == reason::own_config);
  CHECK(p.bits(p.in(op, 1)) == 8);
  CHECK(p.plan.settings_of(p.in(op, 1)).weight);
  CHECK(p.in(op, 2) == p.in(op, 0));  // one operand
  CHECK(p.out(op) == -1);             // between attend and relu
  CHECK(p.bits(p.out(r)) == 8);
  config.global_config.op_type_config = {{"attend", {.op_output_spec = off}}};
  CHECK(annotated(one, by_rules, config).out_why(r).why == reason::group_off);
}

TEST_CASE("pattern_annotator: it can ask, decide for itself, and share") {
  const annotated_graph g;
  const auto decides = [&](pattern_annotator& a) {
    const index_t n = a.key();
    CHECK(a.graph().op(n) == "attend");
    CHECK_FALSE(a.preserves_range(n));
    CHECK(a.input_spec(0)->dtype == dtype::int8);
    CHECK(a.output_spec().has_value());
    CHECK_FALSE(a.state_spec(a.graph().operands[n][2]).has_value());
    a.input(n, 1, a4);
    a.input(n, 2, a8);
    a.output(n, 0, std::nullopt);
    a.share(n, 1, 1);
  };
  const looked_at p = annotated(g, decides, {}, {"attend"});
  CHECK(p.bits(p.in(g.op, 1)) == 4);
  CHECK(p.in_why(g.op, 1).why == reason::by_annotator);
  CHECK(p.in_why(g.op, 1).on);
  CHECK(p.plan.describe(p.in_why(g.op, 1)) == "quantized by the annotator of pattern 'attention'");
  CHECK(p.plan.settings_of(p.in(g.op, 2)).weight);
  CHECK(p.out(g.op) == -1);
  CHECK(p.out(g.second) == p.in(g.op, 1));
  CHECK(p.out_why(g.second).why == reason::shared_range);
  // Sharing with an operand that is off is off.
  const looked_at none = annotated(g,
                                   [](pattern_annotator& a) {
                                     a.input(a.key(), 1, std::nullopt);
                                     a.share(a.key(), 1, 1);
                                   },
                                   {}, {"attend"});
  CHECK(none.out(g.second) == -1);
}

TEST_CASE("pattern_annotator: a range that it sets passes on to range-preserving ops") {
  toy::graph g;
  const int a = g.op("attend", {g.input()});
  const int pool = g.op("max_pool2d", {a});
  g.outputs = {pool};
  const looked_at p =
      annotated(g, [](pattern_annotator& m) { m.output(m.key(), 0, a4); }, {}, {"attend"});
  CHECK(p.bits(p.out(a)) == 4);
  CHECK(p.out(pool) == p.out(a));
}

TEST_CASE("pattern_annotator: palettes and integers stay, and so do claimed nodes") {
  toy::graph g;
  const int index = g.input(false);
  const int palette = g.packed();
  const int a = g.op("attend", {index, palette});
  g.outputs = {a};
  const looked_at p = annotated(g,
                                [](pattern_annotator& m) {
                                  m.input(m.key(), 0, a8);
                                  m.input(m.key(), 1, a8);
                                },
                                {}, {"attend"});
  CHECK(p.in_why(a, 0).why == reason::not_float);
  CHECK(p.in_why(a, 1).why == reason::packed_state);
  CHECK(p.activation_places() + p.weight_places() == 0);
  int calls = 0;  // a longer chain of the registry goes first
  toy::graph h;
  h.outputs = {h.op("relu", {h.op("linear", {h.input(), h.state("l.weight")})})};
  annotated(h, [&](pattern_annotator&) { ++calls; }, {}, {"linear"});
  CHECK(calls == 0);
  annotated(h, [&](pattern_annotator&) { ++calls; }, {}, {"linear", "relu"});
  CHECK(calls == 0);  // of equal chains the first pattern
}

TEST_CASE("pattern_annotator: wrong nodes, slots, results and patterns are refused") {
  const annotated_graph g;
  const auto with = [&](auto&& f) { return [&g, f] { annotated(g, f, {}, {"attend"}); }; };
  CHECK_ERROR(with([](pattern_annotator& a) { a.input(0, 0); })(), invalid_argument,
              "not in the match", "0");
  CHECK_ERROR(with([](pattern_annotator& a) { a.input(a.key(), 3); })(), invalid_argument,
              "no such operand slot", "attend", "3", "below 3");
  CHECK_ERROR(with([](pattern_annotator& a) { a.output(a.key(), 2, a8); })(), invalid_argument,
              "no such result", "2", "below 2");
  CHECK_ERROR(with([](pattern_annotator& a) { a.state_spec(-1); })(), invalid_argument,
              "not a state", "-1");
  CHECK_ERROR(with([](pattern_annotator& a) { a.preserves_range(99); })(), invalid_argument,
              "not in the match", "99");
  // Specs are those of a config: checked at plan(), by field, also for what is not quantized.
  const quantization_spec average{.averaging_constant = 2.0};
  CHECK_ERROR(with([=](pattern_annotator& a) { a.input(a.key(), 1, average); })(), invalid_argument,
              "averaging_constant", "attend", "input 1", "2", "2^-126 .. 1");
  CHECK_ERROR(with([=](pattern_annotator& a) { a.output(a.key(), 0, average); })(),
              invalid_argument, "averaging_constant", "attend", "output 0");
  const quantization_spec observer{.qparam_calculator = "moving_averag"};
  CHECK_ERROR(with([=](pattern_annotator& a) { a.input(a.key(), 0, observer); })(),
              invalid_argument, "no observer under this key", "input 0.qparam_calculator",
              "'moving_averag'", "default, ", "did you mean");
  quantization_spec disabled = average;
  disabled.enabled = false;
  with([=](pattern_annotator& a) { a.input(a.key(), 1, disabled); })();
  pattern_registry r;
  CHECK_ERROR(r.add({"p", pattern_kind::custom, {{"x"}}}), invalid_argument, "annotator", "'p'");
  CHECK_ERROR(r.add({"p", pattern_kind::nary, {{"x"}}, [](pattern_annotator&) {}}),
              invalid_argument, "an annotator");
}
