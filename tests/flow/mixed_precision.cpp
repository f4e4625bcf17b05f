#include <lutra/flow/mixed_precision.hpp>
#include <lutra/flow/palettizer.hpp>

#include "errors.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {
palettizer_config tables_of_bytes() {
  return {.global_config = {.op_state_spec = {{"weight", {.lut_qspec = int8_symmetric}}}}};
}
const weight_record& named(const compression_report& r, const std::string& name) {
  for (const weight_record& w : r.weights) {
    if (w.name == name) return w;
  }
  FAIL("no record " << name);
  return r.weights.front();
}
}  // namespace

TEST_CASE("mixed_precision: a literal pattern matches its name and nothing else") {
  for (const std::string name : {"conv1", "a.b.c", "w#2", "x[0](y)|z*+?\\^${}", ""}) {
    const name_pattern p(literal_pattern(name));
    CHECK(p.matches(name));
    CHECK_FALSE(p.matches(name + "0"));
  }
  CHECK_FALSE(name_pattern(literal_pattern("a.b")).matches("acb"));
}

TEST_CASE("mixed_precision: the palettizer does what the search chose, byte by byte") {
  for (const int bits : {1, 2, 3}) {
    toy::graph g = small_net();
    const palettizer_config config = tables_of_bytes();
    layer_table table = layer_choices_of(
        g, config,
        {.granularities = {granularity::per_tensor(), granularity::per_grouped_channel(2)}});
    measure_layers(g, table);
    const table_cost uniform = cost_of(table, uniform_choice(table, bits));
    const bit_allocation found = allocate_bits(table, uniform.bytes);
    CHECK(found.proven);
    CHECK(found.error <= uniform.error);
    kmeans_palettizer palettizer(g, mixed_config(g, config, table, found.choice));
    palettizer.prepare();
    const compression_report report = palettizer.finalize();
    std::int64_t bytes = 0;
    double error = 0;
    for (std::size_t i = 0; i < table.size(); ++i) {
      const weight_record& w = named(report, table[i].name);
      const layer_choice& c = table[i].choices[static_cast<std::size_t>(found.choice[i])];
      CHECK(w.status == tensor_status::compressed);
      CHECK(w.n_bits == c.spec.n_bits);
      CHECK(w.bytes_after == c.bytes);
      CHECK(w.error == doctest::Approx(c.error));
      bytes += w.bytes_after;
      error += w.error;
    }
    CHECK(bytes == found.bytes);
    CHECK(error == doctest::Approx(found.error));
    CHECK(report.notes.empty());
    CHECK(named(report, "fc1.bias").status == tensor_status::left_dense);
  }
}

TEST_CASE(
    "mixed_precision: names with pattern characters, repeats, shared weights, states of modules") {
  toy::graph g;
  const int x = g.input();
  const int shared = g.shared_state({"a.weight", "b.weight"}, random_tensor({5, 5}, 1));
  const int left = g.state("m.table", random_tensor({5, 5}, 2));
  const int plain = g.state("m.n.weight", random_tensor({5, 5}, 3));
  int v = g.op("linear", {x, shared}, "a", "lin(.*)");
  v = g.op("linear", {v, shared}, "b", "linXX");
  v = g.op("add", {v, left}, "m", "sum");
  v = g.op("linear", {v, plain}, "m.n", "lin.0");
  g.outputs = {v};
  palettizer_config config;
  config.module_name_configs = {{"m", {.module_state_spec = {{"table", {.n_bits = 4}}}}}};
  layer_table table = layer_choices_of(g, config);
  REQUIRE(table.size() == 3);
  measure_layers(g, table);
  const std::vector<index_t> choice{0, 1, 2};  // 1, 2 and 3 bits
  CHECK(table[0].name == "a.weight");
  CHECK(table[1].name == "m.table");
  kmeans_palettizer palettizer(g, mixed_config(g, config, table, choice));
  palettizer.prepare();
  const compression_report report = palettizer.finalize();
  CHECK(named(report, "a.weight").n_bits == 1);
  CHECK(named(report, "m.table").n_bits == 2);
  CHECK(named(report, "m.n.weight").n_bits == 3);
}

TEST_CASE("mixed_precision: tables and choices of something else are refused") {
  const small_net net;
  const toy::graph& g = net;
  const palettizer_config config = tables_of_bytes();
  layer_table table = layer_choices_of(g, config);
  const std::vector<index_t> choice{3, 3};
  CHECK(mixed_config(g, config, table, choice).global_config.op_name_config.size() == 2);
  CHECK_ERROR(mixed_config(g, config, table, std::vector<index_t>{3}), invalid_argument,
              "1 choices");
  CHECK_ERROR(mixed_config(g, config, table, std::vector<index_t>{3, 8}), invalid_argument,
              "got 8");
  table[1].name = "fc9.weight";
  CHECK_ERROR(mixed_config(g, config, table, choice), incompatible, "'fc9.weight'");
  toy::graph nameless;
  const int x = nameless.input();
  const int table_state = nameless.shared_state({}, random_tensor({3, 3}, 1));
  nameless.outputs = {nameless.op("linear", {x, table_state}, "a", "a")};
  const layer_table one = layer_choices_of(nameless, config);
  REQUIRE(one.size() == 1);
  toy::graph packed = nameless;
  kmeans_palettizer palettizer(packed,
                               mixed_config(nameless, config, one, std::vector<index_t>{1}));
  palettizer.prepare();  // the op that reads it has a name
  CHECK(palettizer.report().weights[0].n_bits == 2);
}
