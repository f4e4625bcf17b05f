#include <limits>
#include <lutra/core/executor_openmp.hpp>
#include <lutra/flow/palettizer.hpp>
#include <set>

#include "backward_executor.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {
const palettizer_config p4a8{
    .global_config = {.op_state_spec = {{"weight", {.n_bits = 2, .lut_qspec = int8_symmetric}}}}};
const weight_record& record_of(const compression_report& r, const std::string& name) {
  for (const weight_record& w : r.weights) {
    if (w.name == name) return w;
  }
  FAIL("no record " << name);
  return r.weights.front();
}
}  // namespace

TEST_CASE("palettizer: prepare restores palette values in place, finalize puts palettes") {
  toy::graph g = small_net();
  const small_net original;
  kmeans_palettizer palettizer(g, p4a8);
  palettizer.prepare();
  const tensor<float> fake1 = g.values.at(original.w1).data;
  std::set<float> distinct(fake1.elements().begin(), fake1.elements().end());
  CHECK(distinct.size() <= 4);
  CHECK(distinct.size() > 1);
  CHECK(g.values.at(original.bias) == original.values.at(original.bias));
  CHECK(g.nodes == original.nodes);  // still the same graph
  const tensor<float> before = graph_traits<toy::graph>::run(g, batch(0), [](auto...) {});

  const compression_report report = palettizer.finalize();
  for (const auto& [v, w] : {std::pair(original.l1, original.w1), {original.l2, original.w2}}) {
    const int read = g.maker(v).operands[1];
    CHECK(g.values.at(read).role == value_role::packed_state);
    // The same numbers as before, bit for bit.
    CHECK(restore(*g.values.at(read).palette) == g.values.at(w).data);
  }
  CHECK(g.maker(original.l1).operands[2] == original.bias);

  REQUIRE(report.weights.size() == 3);
  const weight_record& w = record_of(report, "fc1.weight");
  CHECK(w.status == tensor_status::compressed);
  CHECK(w.n_bits == 2);
  CHECK(w.groups == 1);
  CHECK(w.bytes_before == 120);
  CHECK(w.bytes_after == 8 + 4 + 4);  // 30 codes of 2 bits, 4 entries, a scale
  CHECK(w.inertia > 0);
  double signal = 0, error = 0;
  for (index_t i = 0; i < 30; ++i) {
    const double x = static_cast<double>(original.values.at(original.w1).data[i]);
    signal += x * x;
    error += (x - static_cast<double>(fake1[i])) * (x - static_cast<double>(fake1[i]));
  }
  CHECK(w.signal == doctest::Approx(signal));
  CHECK(w.error == doctest::Approx(error));
  const weight_record& b = record_of(report, "fc1.bias");
  CHECK(b.status == tensor_status::left_dense);
  CHECK(b.reason == "no known op reads it as its weight");
  CHECK(b.bytes_after == b.bytes_before);
  CHECK(before.size() == 12);
}

TEST_CASE("palettizer: a shared weight is compressed once and replaced everywhere") {
  toy::graph g;
  const int x = g.input();
  const int w = g.state("tied", random_tensor({5, 5}, 4));
  const int a = g.op("linear", {x, w}, "a");
  const int b = g.op("linear", {a, w}, "b");
  g.outputs = {b, w};  // also a graph output
  kmeans_palettizer palettizer(g, p4a8);
  palettizer.prepare();
  const compression_report report = palettizer.finalize();
  CHECK(report.weights.size() == 1);
  const int packed = g.maker(a).operands[1];
  CHECK(packed != w);
  CHECK(g.maker(b).operands[1] == packed);
  CHECK(g.outputs[1] == packed);
}

TEST_CASE("palettizer: palettes do not depend on the executor") {
  toy::graph a = small_net(), b = small_net(), c = small_net();
  palettizer_config config = p4a8;
  config.global_config.op_state_spec = {
      {"weight", {.n_bits = 1, .granularity = granularity::per_grouped_channel(2)}}};
  kmeans_palettizer serial(a, config);
  kmeans_palettizer backwards(b, config, {}, test::backward_executor{});
  kmeans_palettizer parallel(c, config, {}, openmp_executor{});
  serial.prepare();
  backwards.prepare();
  parallel.prepare();
  CHECK(a.same_as(b));
  CHECK(a.same_as(c));
}

TEST_CASE("palettizer: weights left alone say why; strict mode refuses") {
  palettizer_config config;
  config.global_config.op_state_spec = {
      {"weight",
       {.granularity = granularity::per_grouped_channel(4), .short_groups = short_groups::forbid}}};
  {
    toy::graph g = small_net();
    kmeans_palettizer palettizer(g, config);
    palettizer.prepare();
    const compression_report report = palettizer.finalize();
    CHECK(record_of(report, "fc1.weight").status == tensor_status::left_dense);
    CHECK(record_of(report, "fc1.weight").why == reason::groups_do_not_fit);
    CHECK(record_of(report, "fc1.weight").reason ==
          "block size 4 does not divide extent 6 of axis 0");
    CHECK(record_of(report, "fc2.weight").status == tensor_status::compressed);
  }
  toy::graph g = small_net();
  const toy::graph before = g;
  kmeans_palettizer palettizer(g, config, {.strict = true});
  CHECK(error_of([&] { palettizer.prepare(); }).code() == errc::incompatible);
  CHECK(g.same_as(before));
}

TEST_CASE("palettizer: a second palettizer leaves palettes alone") {
  toy::graph g = small_net();
  kmeans_palettizer first(g, p4a8);
  first.prepare();
  first.finalize();
  const toy::graph before = g;
  kmeans_palettizer second(g, p4a8);
  second.prepare();
  const compression_report report = second.finalize();
  CHECK(g.same_as(before));
  int packed = 0;
  for (const weight_record& w : report.weights) packed += w.reason == "already compressed" ? 1 : 0;
  CHECK(packed == 2);
}

TEST_CASE("palettizer: calls out of order") {
  toy::graph g = small_net();
  kmeans_palettizer palettizer(g, p4a8);
  CHECK(error_of([&] { palettizer.finalize(); }).problem() == "prepare() was not called");
  palettizer.prepare();
  const error twice = error_of([&] { palettizer.prepare(); });
  CHECK(twice.code() == errc::invalid_state);
  CHECK(twice.where() == "kmeans_palettizer::prepare");
  palettizer.finalize();
  CHECK(error_of([&] { palettizer.finalize(); }).problem() == "finalize() was called before");
  CHECK_THROWS_AS(palettizer.prepare(), error);
}

TEST_CASE("palettizer: weights that are not finite or do not fit, bad configs, bad graphs") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    small_net net;
    net.values.at(net.w2).data[5] = bad;
    toy::graph g = net;
    kmeans_palettizer palettizer(g, p4a8);
    const error e = error_of([&] { palettizer.prepare(); });
    CHECK(e.code() == errc::non_finite);
    CHECK(e.where().find("fc2.weight") != std::string::npos);
    CHECK(g.nodes == net.nodes);
    CHECK(g.values.at(net.w1) == net.values.at(net.w1));  // the good one was not touched either
  }
  {
    small_net net;
    net.values.at(net.w1).data = random_tensor({6, 5, 1}, 1);
    toy::graph g = net;
    kmeans_palettizer palettizer(g, p4a8);
    const error e = error_of([&] { palettizer.prepare(); });
    CHECK(e.code() == errc::shape_mismatch);
    CHECK(e.where() == "linear 'linear', weight 'fc1.weight'");
    CHECK(e.value() == "shape [6, 5, 1]");
    CHECK(e.allowed() == "rank 2");
    CHECK(g.same_as(net));
  }
  {
    toy::graph g = small_net();
    const palettizer_config bad{.global_config = {.op_state_spec = {{"weight", {.n_bits = 0}}}}};
    CHECK(error_of([&] { kmeans_palettizer p(g, bad); }).value() == "0");
  }
  small_net net;
  net.maker(net.l1).operands[0] = net.l2;  // a cycle
  toy::graph g = net;
  kmeans_palettizer palettizer(g, p4a8);
  CHECK(error_of([&] { palettizer.prepare(); }).code() == errc::invalid_graph);
  CHECK(g.same_as(net));
}

TEST_CASE("palettizer: progress is reported and can cancel") {
  toy::graph g = small_net();
  const toy::graph before = g;
  std::vector<index_t> seen;
  index_t stop_at = -1;
  palettizer_options options;
  options.progress = [&](std::string_view stage, index_t done, index_t total) {
    CHECK(stage == "palettize");
    CHECK(total == 3);
    seen.push_back(done);
    return done != stop_at;
  };
  {
    stop_at = 2;
    kmeans_palettizer palettizer(g, p4a8, options);
    CHECK(error_of([&] { palettizer.prepare(); }).code() == errc::cancelled);
    CHECK(g.same_as(before));
    stop_at = -1;
    seen.clear();
    palettizer.prepare();  // may be tried again
  }
  CHECK(seen == std::vector<index_t>{0, 1, 2, 3});
  std::vector<std::string> log;
  options.log = [&](log_level, std::string_view m) { log.emplace_back(m); };
  kmeans_palettizer noted(g, {.module_name_configs = {{"none", {}}}}, options);
  noted.prepare();
  CHECK(log == std::vector<std::string>{"config entry name 'none' matches no module"});
}

TEST_CASE("palettizer: an adapter that throws at any edit leaves the graph as it was") {
  toy::graph probe = small_net();
  kmeans_palettizer whole(probe, p4a8);
  whole.prepare();
  const int in_prepare = probe.edits;
  whole.finalize();
  const int in_finalize = probe.edits - in_prepare;
  REQUIRE(in_prepare == 2);
  REQUIRE(in_finalize == 4);
  for (int k = 0; k < in_prepare; ++k) {
    toy::graph g = small_net();
    const toy::graph before = g;
    g.fail_in = k;
    kmeans_palettizer palettizer(g, p4a8);
    CHECK_THROWS_AS(palettizer.prepare(), toy::failure);
    CHECK(g.same_as(before));
    palettizer.prepare();  // the adapter has recovered
    CHECK_FALSE(g.same_as(before));
  }
  for (int k = 0; k < in_finalize; ++k) {
    toy::graph g = small_net();
    kmeans_palettizer palettizer(g, p4a8);
    palettizer.prepare();
    const toy::graph before = g;
    g.fail_in = k;
    CHECK_THROWS_AS(palettizer.finalize(), toy::failure);
    CHECK(g.same_as(before));
    CHECK(palettizer.finalize().weights.size() == 3);
  }
}

TEST_CASE("palettizer: calibration puts the float weights back and clusters with the gradients") {
  const small_net net;
  toy::graph g = small_net();
  kmeans_palettizer p(g, p4a8);
  CHECK(error_of([&] { (void)p.calibration_mode(); }).problem() == "prepare() was not called");
  p.prepare();
  const toy::graph vanilla = g;
  CHECK(p.sensitivities().empty());
  {
    auto calibrating = p.calibration_mode();
    CHECK(g.values == net.values);  // float weights
    CHECK(error_of([&] { (void)p.calibration_mode(); }).problem() == "a calibration scope is open");
    CHECK(error_of([&] { p.finalize(); }).problem() == "a calibration scope is open");
    CHECK(error_of([&] { calibrating.finish(); }).problem() == "no gradient was added");
    calibrating.gradients().record(
        g, std::vector{toy::gradients{{{net.w1, random_tensor({6, 5}, 31)}}},
                       toy::gradients{{{net.w1, random_tensor({6, 5}, 32)},
                                       {net.w2, random_tensor({4, 6}, 33)}}}});
    calibrating.finish();
    CHECK(error_of([&] { calibrating.finish(); }).problem() == "the calibration scope has ended");
  }
  CHECK_FALSE(g.same_as(vanilla));
  CHECK(p.sensitivities().size() == 2);
  // A fresh palettizer with these sensitivities, saved and loaded, finds the same.
  weight_sensitivities loaded;
  loaded.load(p.sensitivities().save());
  toy::graph h = small_net();
  kmeans_palettizer again(h, p4a8);
  again.prepare(loaded);
  CHECK(g.same_as(h));
  CHECK(p.save() == again.save());
  p.finalize();
  CHECK(error_of([&] { (void)p.calibration_mode(); }).problem() == "finalize() was called before");
}

TEST_CASE("palettizer: a calibration left early, cancelled, or with a failing adapter") {
  const small_net net;
  toy::graph g = small_net();
  bool stop = false;
  palettizer_options options;
  options.progress = [&](std::string_view, index_t, index_t) { return !stop; };
  kmeans_palettizer p(g, p4a8, options);
  p.prepare();
  const toy::graph prepared = g;
  {
    auto calibrating = p.calibration_mode();
    calibrating.gradients().add("fc1.weight", lutra::view(random_tensor({6, 5}, 31)));
  }
  CHECK(g.same_as(prepared));
  {
    auto calibrating = p.calibration_mode();
    calibrating.gradients().add("fc1.weight", lutra::view(random_tensor({6, 5}, 31)));
    stop = true;
    CHECK(error_of([&] { calibrating.finish(); }).code() == errc::cancelled);
    CHECK(g.values == net.values);
    stop = false;
  }
  CHECK(g.same_as(prepared));
  for (int k = 0; k < 2; ++k) {  // going in
    g.fail_in = k;
    CHECK_THROWS_AS((void)p.calibration_mode(), toy::failure);
    CHECK(g.same_as(prepared));
  }
  for (int k = 0; k < 2; ++k) {  // putting the new palettes in
    auto calibrating = p.calibration_mode();
    calibrating.gradients().add("fc1.weight", lutra::view(random_tensor({6, 5}, 31)));
    g.fail_in = k;
    CHECK_THROWS_AS(calibrating.finish(), toy::failure);
    CHECK(g.values == net.values);
  }
  CHECK(g.same_as(prepared));
  {
    auto calibrating = p.calibration_mode();
    g.fail_in = 0;
    g.keeps_failing = true;
  }
  CHECK(error_of([&] { p.finalize(); }).problem() ==
        "the palettes could not be put back after a calibration scope");
  CHECK(g.values == net.values);
}

namespace {
// Fails at one of its calls.
struct failing_executor {
  int* calls_left;
  template <class F> void bulk(index_t n, F&& f) const {
    if ((*calls_left)-- == 0) throw toy::failure();
    for (index_t i = 0; i < n; ++i) f(i);
  }
};
}  // namespace

TEST_CASE("palettizer: an executor that throws leaves the graph as it was, wherever it does") {
  const small_net net;
  const palettizer_config groups{
      .global_config = {
          .op_state_spec = {
              {"weight", palettization_spec{.n_bits = 1,
                                            .granularity = granularity::per_grouped_channel(2)}}}}};
  constexpr int never = 1 << 20;
  int left = never;
  toy::graph probe = net;
  kmeans_palettizer whole(probe, groups, {}, failing_executor{&left});
  whole.prepare();
  const int calls = never - left;
  REQUIRE(calls > 0);
  for (int k = 0; k < calls; ++k) {
    toy::graph g = net;
    left = k;
    kmeans_palettizer p(g, groups, {}, failing_executor{&left});
    CHECK_THROWS_AS(p.prepare(), toy::failure);
    CHECK(g.same_as(net));
    CHECK(error_of([&] { p.finalize(); }).problem() == "prepare() was not called");
    CHECK(g.same_as(net));
    left = never;
    p.prepare();
    CHECK(g.same_as(probe));
    // In a calibration scope: it stays open, with the float weights; left, the palettes are back.
    {
      auto calibrating = p.calibration_mode();
      calibrating.gradients().add("fc1.weight", lutra::view(random_tensor({6, 5}, 31)));
      left = k;
      CHECK_THROWS_AS(calibrating.finish(), toy::failure);
      CHECK(g.values == net.values);
      left = never;
    }
    CHECK(g.same_as(probe));
    CHECK(error_of([&] { p.prepare(); }).problem() == "prepare() was called before");
    CHECK(g.same_as(probe));
  }
}

TEST_CASE("palettizer: a log sink that throws leaves object and graph as they were") {
  toy::graph g = small_net();
  const toy::graph before = g;
  bool throws = true;
  palettizer_options options;
  options.log = [&](log_level, std::string_view) {
    if (throws) throw toy::failure();
  };
  kmeans_palettizer p(g, {.module_name_configs = {{"none", {}}}}, options);
  CHECK_THROWS_AS(p.prepare(), toy::failure);
  CHECK(g.same_as(before));
  CHECK(error_of([&] { p.finalize(); }).problem() == "prepare() was not called");
  throws = false;
  p.prepare();
  CHECK_FALSE(g.same_as(before));
}
