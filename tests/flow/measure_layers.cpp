#include <lutra/core/executor_openmp.hpp>
#include <lutra/flow/measure_layers.hpp>
#include <stdexcept>

#include "backward_executor.hpp"
#include "errors.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {
const palettizer_config int8_tables{
    .global_config = {.op_state_spec = {{"weight", {.lut_qspec = int8_symmetric}}}}};
const layer_offers three_widths{
    .n_bits = {1, 2, 3},
    .granularities = {granularity::per_tensor(), granularity::per_grouped_channel(2)}};

// Output of the toy net with one weight replaced, against the float one.
auto output_error_of(const small_net& net) {
  return [&net](const layer_trial<toy::graph>& trial) {
    toy::graph changed = net, original = net;
    changed.values.at(trial.value).data = tensor<float>::copy_of(trial.restored);
    const tensor<float> x = batch(1);
    const auto never = [](auto...) {};
    return weighted_error(graph_traits<toy::graph>::run(changed, x, never).elements(),
                          graph_traits<toy::graph>::run(original, x, never).elements(), {});
  };
}
}  // namespace

TEST_CASE("measure_layers: a table holds every way on offer for every chosen weight") {
  const small_net net;
  layer_table table = layer_choices_of<toy::graph>(net, int8_tables, three_widths);
  REQUIRE(table.size() == 2);
  CHECK(table[0].name == "fc1.weight");
  CHECK(table[0].elements == 30);
  CHECK(table[1].name == "fc2.weight");
  REQUIRE(table[1].choices.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) {
    const palettization_spec& s = table[1].choices[i].spec;
    CHECK(s.n_bits == 1 + static_cast<int>(i % 3));
    CHECK(s.lut_qspec == int8_symmetric);
    CHECK((s.granularity == granularity::per_tensor()) == (i < 3));
    CHECK_FALSE(table[1].choices[i].measured());
  }
  // Without granularities on offer the config's own is kept.
  palettizer_config rows = int8_tables;
  rows.global_config.op_state_spec = {
      {"weight", {.granularity = granularity::per_grouped_channel(3)}}};
  table = layer_choices_of<toy::graph>(net, rows);
  CHECK(table[0].choices.size() == 8);
  CHECK(table[0].choices[0].spec.granularity == granularity::per_grouped_channel(3).with_axis(0));
  // A weight that is off is no row.
  rows.global_config.op_name_config = {{"linear_1", off}};
  CHECK(layer_choices_of<toy::graph>(net, rows).size() == 1);
}

TEST_CASE("measure_layers: groups that do not divide are no choice where they are forbidden") {
  const small_net net;  // 6 and 4 rows
  palettizer_config config;
  config.global_config.op_state_spec = {
      {"weight",
       {.granularity = granularity::per_grouped_channel(4), .short_groups = short_groups::forbid}}};
  layer_table table = layer_choices_of<toy::graph>(net, config);
  REQUIRE(table.size() == 1);
  CHECK(table[0].name == "fc2.weight");
  table = layer_choices_of<toy::graph>(net, config,
                                       {.n_bits = {2},
                                        .granularities = {granularity::per_grouped_channel(4),
                                                          granularity::per_grouped_channel(3)}});
  REQUIRE(table.size() == 2);
  CHECK(table[0].choices.size() == 1);
  CHECK(table[0].choices[0].spec.granularity.block_size() == 3);
}

TEST_CASE("measure_layers: bytes and weight errors are those of the palettes") {
  const small_net net;
  layer_table table = layer_choices_of<toy::graph>(net, int8_tables, three_widths);
  measure_layers<toy::graph>(net, table);
  for (const layer_choices& layer : table) {
    const tensor<float>& w = net.values.at(layer.name == "fc1.weight" ? net.w1 : net.w2).data;
    for (const layer_choice& c : layer.choices) {
      const palette<float> p = palettize(w, c.spec);
      const tensor<float> restored = restore(p);
      long double error = 0;
      for (index_t i = 0; i < w.size(); ++i) {
        const long double d =
            static_cast<long double>(w[i]) - static_cast<long double>(restored[i]);
        error += d * d;
      }
      CHECK(c.bytes == pack(p).bytes());
      CHECK(c.error == doctest::Approx(static_cast<double>(error)).epsilon(1e-12));
    }
    CHECK(layer.choices[0].error > layer.choices[1].error);
    CHECK(layer.choices[1].error > layer.choices[2].error);
    CHECK(layer.choices[0].error > layer.choices[3].error);  // groups of two rows
  }
}

TEST_CASE("measure_layers: sensitivities count in clustering and in the error") {
  const small_net net;
  weight_sensitivities s;
  tensor<float> importance({6, 5}, std::vector<float>(30, 1e-6F));
  for (index_t i = 0; i < 4; ++i) importance[7 * i] = 1.0F;
  s.set("fc1.weight", importance);
  layer_table plain = layer_choices_of<toy::graph>(net, int8_tables, {.n_bits = {2}});
  layer_table weighted = plain;
  measure_layers<toy::graph>(net, plain);
  measure_layers<toy::graph>(net, weighted, {.importance = &s});
  // Four elements matter and there are four entries: next to nothing is lost.
  CHECK(weighted[0].choices[0].error < 0.01 * plain[0].choices[0].error);
  CHECK(weighted[1].choices[0].error == plain[1].choices[0].error);
  weight_sensitivities wrong;
  wrong.set("fc2.weight", importance);
  CHECK_ERROR(measure_layers<toy::graph>(net, weighted, {.importance = &wrong}), shape_mismatch,
              "'fc2.weight'", "[6, 5]", "[4, 6]");
}

TEST_CASE("measure_layers: the output error is what the callback says of the restored weight") {
  const small_net net;
  layer_table table = layer_choices_of<toy::graph>(net, int8_tables, three_widths);
  std::size_t calls = 0;
  measure_layers<toy::graph>(net, table, [&](const layer_trial<toy::graph>& t) {
    ++calls;
    CHECK(t.name == table[t.layer].name);
    CHECK(t.value == (t.layer == 0 ? net.w1 : net.w2));
    const tensor<float> expected = restore(palettize(net.values.at(t.value).data, t.spec));
    CHECK(tensor<float>::copy_of(t.restored) == expected);
    return static_cast<double>(100 * t.layer) + t.spec.n_bits;
  });
  CHECK(calls == 12);
  CHECK(table[1].choices[4].error == 102);
}

TEST_CASE("measure_layers: figures do not depend on the executor") {
  const small_net net;
  const auto loss = output_error_of(net);
  layer_table serial = layer_choices_of<toy::graph>(net, int8_tables, three_widths);
  layer_table backwards = serial, parallel = serial, batched = serial;
  measure_layers<toy::graph>(net, serial, loss);
  measure_layers<toy::graph>(net, backwards, loss, {}, test::backward_executor{});
  measure_layers<toy::graph>(net, parallel, loss, {}, openmp_executor{});
  measure_layers<toy::graph>(net, batched, loss, {.progress = [](auto...) { return true; }});
  CHECK(serial[0].choices[0].error > serial[0].choices[2].error);
  CHECK(save_measurements(backwards) == save_measurements(serial));
  CHECK(save_measurements(parallel) == save_measurements(serial));
  CHECK(save_measurements(batched) == save_measurements(serial));
}

TEST_CASE("measure_layers: cancelled, saved, restored: only what is missing is measured") {
  const small_net net;
  const auto loss = output_error_of(net);
  layer_table whole = layer_choices_of<toy::graph>(net, int8_tables, three_widths);
  layer_table stopped = whole, later = whole;
  measure_layers<toy::graph>(net, whole, loss);
  measure_options options;
  std::vector<index_t> seen;
  options.progress = [&](std::string_view stage, index_t done, index_t total) {
    CHECK(stage == "measure layers");
    CHECK(total == 12);
    seen.push_back(done);
    return done < 8;
  };
  CHECK_ERROR(measure_layers<toy::graph>(net, stopped, loss, options), cancelled, "8 of 12");
  CHECK(stopped[0].choices[5].measured());
  CHECK(stopped[1].choices[1].measured());
  CHECK_FALSE(stopped[1].choices[2].measured());
  restore_measurements(later, save_measurements(stopped));
  std::size_t calls = 0;
  options.progress = {};
  measure_layers<toy::graph>(
      net, later, [&](const auto& t) { return ++calls, loss(t); }, options);
  CHECK(calls == 4);
  CHECK(save_measurements(later) == save_measurements(whole));
}

TEST_CASE(
    "measure_layers: an error that is none names its weight and width; what was measured stays") {
  const small_net net;
  layer_table table = layer_choices_of<toy::graph>(net, int8_tables, {.n_bits = {4, 2}});
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), -1.0, std::numeric_limits<double>::infinity()}) {
    const auto loss = [&](const layer_trial<toy::graph>& t) {
      return t.layer == 1 && t.spec.n_bits == 2 ? bad : 1.0;
    };
    CHECK_ERROR(measure_layers<toy::graph>(net, table, loss), non_finite, "'fc2.weight'", "2 bits");
    CHECK(table[1].choices[0].error == 1.0);
    CHECK_FALSE(table[1].choices[1].measured());
  }
}

TEST_CASE("measure_layers: what was measured before the callback threw stays") {
  const small_net net;
  layer_table table = layer_choices_of<toy::graph>(net, int8_tables, {.n_bits = {4, 2}});
  int calls = 0;
  const auto loss = [&](const layer_trial<toy::graph>&) {
    if (++calls == 3) throw std::runtime_error("out of batches");
    return 1.0;
  };
  CHECK_THROWS_AS(measure_layers<toy::graph>(net, table, loss), std::runtime_error);
  CHECK(table[0].choices[0].measured());
  CHECK(table[0].choices[1].measured());
  CHECK_FALSE(table[1].choices[0].measured());
}

TEST_CASE("measure_layers: offers, weights and tables that do not fit") {
  small_net net;
  const auto offered = [&](layer_offers offers) {
    return layer_choices_of<toy::graph>(net, int8_tables, offers);
  };
  CHECK_ERROR(offered({.n_bits = {}}), invalid_argument, "no widths");
  CHECK_ERROR(offered({.n_bits = {2, 9}}), invalid_argument, "n_bits", "9", "1..8");
  CHECK_ERROR(offered({.n_bits = {0}}), invalid_argument, "n_bits", "got 0");
  CHECK_ERROR(offered({.n_bits = {3, 4, 3}}), invalid_argument, "a width is offered twice", "3");
  CHECK_ERROR(offered({.granularities = {granularity::per_tensor(), granularity::per_tensor()}}),
              invalid_argument, "a granularity is offered twice");
  // Blocks are for weights of their rank.
  const granularity rows = granularity::per_grouped_channel(1),
                    blocks = granularity::per_block({1, 2});
  const granularity images = granularity::per_block({1, 2, 3, 3});
  const layer_table fine = offered({.n_bits = {1, 2}, .granularities = {rows, images, blocks}});
  CHECK(fine[0].choices.size() == 4);
  CHECK(fine[0].choices[2].spec.granularity == blocks);
  CHECK_ERROR(offered({.granularities = {images}}), incompatible, "'fc1.weight'", "[6, 5]");
  layer_table table = offered({.n_bits = {1}});
  table[0].elements = 31;
  CHECK_ERROR(measure_layers<toy::graph>(net, table), incompatible, "'fc1.weight'", "30", "31");
  table[0].name = "fc7.weight";
  CHECK_ERROR(measure_layers<toy::graph>(net, table), incompatible, "'fc7.weight'");
  net.values.at(net.w2).data[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK_ERROR(offered({}), non_finite, "fc2.weight", "position 3");
}
