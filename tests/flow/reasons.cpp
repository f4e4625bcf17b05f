// Every value, operand and weight of five graphs has a typed reason, in both plans and in the reports of both flows
// and of the joint one; and every reason occurs.
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/graph/presets.hpp>

#include <set>

#include "graph/reference_nets.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {
int stored_weight(toy::graph& g, const std::string& name, const shape& extents) {
  return g.state(name, random_tensor(extents, name.size()));
}
// Branches, an op nobody knows, integers, a table of embeddings.
toy::graph branching_net() {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("add", {x, g.state("offset", random_tensor({3, 5}, 1))});
  const int r = g.op("relu", {a});
  const int s = g.op("sub", {a, r});
  const int e =
      g.op("embedding", {g.state("table.weight", random_tensor({3, 5}, 2)), g.op("argmax", {s})},
           "table");
  g.values.at(g.maker(e).operands[1]).is_float = false;
  g.outputs = {g.op("cat", {g.op("gelu", {s}), e}), r, g.op("softmax", {e})};
  return g;
}
// A weight that two layers read, and a layer of two results.
toy::graph tied_net() {
  toy::graph g;
  const int w = g.state("w.weight", random_tensor({5, 5}, 3));
  const int a = g.op("linear", {g.input(), w}, "a");
  const int b = g.op("linear", {a, w}, "b");
  const int second = g.add({});
  g.maker(b).results.push_back(second);
  g.outputs = {b, second};
  return g;
}
std::vector<toy::graph> five_graphs() {
  return {toy::mnist_net({}, stored_weight), toy::resnet50_net({}, stored_weight), small_net(),
          branching_net(), tied_net()};
}

class reasons_seen {
 public:
  void walk(const quantization_plan& p) {
    CHECK(index_t(p.operand_decision.size()) == p.index.operand_count());
    CHECK(index_t(p.value_decision.size()) == p.index.value_count());
    for (const auto* list : {&p.operand_decision, &p.value_decision}) {
      for (const decision& d : *list) take(d.why, p.describe(d));
    }
  }
  void walk(const palettization_plan& p) {
    index_t states = 0;
    for (index_t v = 0; v < p.index.value_count(); ++v) states += p.index.is_state(v) ? 1 : 0;
    CHECK(index_t(p.weights.size()) == states);
    for (const weight_choice& w : p.weights) {
      take(w.cause.why, w.why);
      CHECK(w.why == p.describe(w.cause));
      CHECK(w.chosen == w.cause.on);
      if (w.chosen) CHECK(w.cause.source >= 0);  // the entry that chose it
    }
  }
  // `g`: as it was planned. `activations`: of a quantizer, which knows of all values.
  void walk(const compression_report& r, const graph_index& g, bool activations) {
    std::multiset<std::string> told, wanted;
    for (const weight_record& w : r.weights) {
      take(w.why, w.reason);
      told.insert(w.name);
      CHECK((w.status == tensor_status::compressed) == !w.form.empty());
    }
    for (const activation_record& a : r.activations) {
      REQUIRE(a.values.size() == a.reasons.size());
      for (const value_reason& why : a.reasons) take(why.why, why.text);
    }
    std::set<std::string> values;
    for (const activation_record& a : r.activations) {
      for (const std::string& v : a.values) values.insert(v);
    }
    for (const float_record& f : r.left_float) {
      take(f.why, f.reason);
      CHECK(values.insert(f.name).second);  // float, and quantized nowhere
    }
    index_t others = 0;
    for (index_t v = 0; v < g.value_count(); ++v) {
      if (g.is_state(v)) {
        wanted.insert(g.label(v));
      } else {
        ++others;
        CHECK((!activations || values.count(g.label(v)) == 1));
      }
    }
    CHECK(told == wanted);
    if (activations) CHECK(index_t(values.size()) == others);
  }
  bool has(reason why) const { return seen_.count(why) != 0; }

 private:
  void take(reason why, const std::string& text) {
    CHECK(why != reason::none);
    CHECK_FALSE(text.empty());
    CHECK(text != "undecided");
    CHECK(text != name_of(why));  // a sentence of its own
    seen_.insert(why);
  }
  std::set<reason> seen_;
};

// Plans, then palettizes, then quantizes what is left.
void run_joint(toy::graph g, const joint_config& config, reasons_seen& seen,
               quantizer_options options = {}, float factor = 1) {
  seen.walk(plan(g, config.weights));
  seen.walk(plan(g, config.activations, options.planning));
  graph_index index = index_of(g).index;
  kmeans_palettizer palettizer(g, config.weights);
  palettizer.prepare();
  seen.walk(palettizer.finalize(), index, false);
  index = index_of(g).index;
  options.allow_uncalibrated = true;
  quantizer q(g, config.activations, options);
  q.prepare();
  seen.walk(q.applied_plan());
  if (factor != 0) {
    tensor<float> data = batch(1);
    for (float& x : data.elements()) x *= factor;
    q.calibrate(std::vector<tensor<float>>{data});
  }
  seen.walk(q.finalize(), index, true);
}
}  // namespace

TEST_CASE(
    "reasons: everything in five graphs has one, in both plans, both flows and the joint one") {
  reasons_seen seen;
  for (const toy::graph& g : five_graphs()) {
    run_joint(g, presets::p4a8(), seen);
    run_joint(g, {.weights = {.global_config = off}, .activations = presets::w8a8()}, seen);
  }
}

TEST_CASE("reasons: each of them occurs") {
  reasons_seen seen;
  for (const toy::graph& g : five_graphs()) {
    run_joint(g, {.weights = presets::p4a8().weights, .activations = presets::w8a8()}, seen);
  }
  const palettizer_config no_palettes{.global_config = off};
  joint_config c{.weights = no_palettes, .activations = {.global_config = off}};
  run_joint(branching_net(), c, seen);  // config_off
  c.activations = {
      .global_config = {.op_state_spec = {{"nothing", int8_symmetric}}, .op_input_spec = off},
      .module_name_configs = {{"table",
                               {.op_output_spec = {{0, off}},
                                .module_output_spec = {{"*", int8_symmetric}},
                                .module_state_spec = {{"weight", int8_symmetric}}}}}};
  run_joint(branching_net(), c, seen);  // group_off, no_matching_key, module specs
  c.activations = {.global_config = {.op_input_spec = {{"*", off}}}};
  run_joint(branching_net(), c, seen);  // off_by_config
  c.activations = {.module_name_configs = {{"b", {}}}};
  run_joint(tied_net(), c, seen);  // from_consumer, shared_state
  c.weights.global_config = {};
  c.weights.only_for({"linear"});
  run_joint(branching_net(), c, seen);  // not_in_only_for
  c.weights = {
      .global_config = {.op_state_spec = {{"weight",
                                           {.granularity = granularity::per_grouped_channel(4),
                                            .short_groups = short_groups::forbid}}}}};
  run_joint(small_net(), c, seen);                       // groups_do_not_fit
  run_joint(small_net(), presets::p4a8(), seen, {}, 0);  // no_data
  quantization_spec asymmetric = int8_symmetric;
  asymmetric.qscheme = qscheme::asymmetric;
  c = {.weights = no_palettes,
       .activations = {
           .global_config = {.op_input_spec = {{"*", asymmetric}}, .op_output_spec = off}}};
  run_joint(small_net(), c, seen, {}, 2e38F);  // bad_range
  quantizer_options own;
  own.planning.patterns.add(
      {"linear", pattern_kind::custom, {{"linear"}}, [](pattern_annotator&) {}});
  run_joint(tied_net(), {.weights = no_palettes, .activations = {}}, seen, own);  // by_annotator
  toy::graph wire;
  wire.outputs = {wire.input()};
  run_joint(wire, presets::p4a8(), seen);  // unread
  // not_folded needs training: tests/flow/train_batch_norm.cpp.
  for (int i = 1; i < reason_count; ++i) {
    const auto why = static_cast<reason>(i);
    CHECK_MESSAGE(seen.has(why) == (why != reason::not_folded), name_of(why));
  }
}
