// quantizer.hpp: training mode, schedules, and the saved state.
#include <lutra/flow/quantizer.hpp>

#include "nets.hpp"

using namespace lutra;

namespace {
const quantizer_config train_activations{.global_config = {.op_state_spec = {}}};
}  // namespace

TEST_CASE("quantizer_training: both switches are on inside, of weights too, and restored outside") {
  toy::graph g = small_net();
  quantizer q(g);
  CHECK(error_of([&] { (void)q.training_mode(); }).problem() == "prepare() was not called");
  q.prepare();
  CHECK(error_of([&] { q.step(); }).problem() == "no training scope is open");
  {
    const auto training = q.training_mode();
    CHECK(all(q.fake_quantizers(), true, true));
    CHECK(error_of([&] { (void)q.calibration_mode(); }).problem() == "a training scope is open");
    CHECK(error_of([&] { (void)q.training_mode(); }).problem() == "a training scope is open");
    CHECK(error_of([&] { q.finalize(); }).problem() == "a training scope is open");
    q.run(batch(0));
    q.step();
  }
  CHECK(all(q.fake_quantizers(), false, true));
  {
    const auto training = q.training_mode();
    q.step();
  }
  CHECK(q.steps() == 2);
  q.finalize();  // training data count as calibration
}

TEST_CASE("quantizer_training: a weight that training moves is observed again") {
  small_net net;
  toy::graph g = net;
  quantizer q(g);
  q.prepare();
  const auto weight_scale = [&] {
    for (std::size_t i = 0; i < q.fake_quantizers().size(); ++i) {
      if (q.applied_plan().group_name(index_t(i)) == "fc2.weight") {
        return q.fake_quantizers()[i].params().scale[0];
      }
    }
    FAIL("no fake-quantizer of fc2.weight");
    return 0.0F;
  };
  const float before = weight_scale();
  for (float& w : g.values.at(net.w2).data.elements()) w *= 2;
  q.run(batch(0));
  CHECK(weight_scale() == before);
  {
    const auto training = q.training_mode();
    q.run(batch(0));
  }
  CHECK(weight_scale() == 2 * before);
}

TEST_CASE("quantizer_training: schedules switch by step, the count goes on between scopes") {
  toy::graph g = small_net();
  quantizer_config config = train_activations;
  config.global_config.qat_schedule = lutra::qat_schedule{1, 2, 4};
  quantizer q(g, config);
  q.prepare();
  const quantization_plan& applied = q.applied_plan();
  for (index_t i = 0; i < index_t(applied.groups.size()); ++i) {
    CHECK(applied.settings_of(i).schedule == config.global_config.qat_schedule);
  }
  {
    const auto training = q.training_mode();
    CHECK(all(q.fake_quantizers(), false, false));  // step 0
    q.step();
    CHECK(all(q.fake_quantizers(), true, false));
    q.run(batch(0));
    q.step();
    CHECK(all(q.fake_quantizers(), true, true));
  }
  CHECK(all(q.fake_quantizers(), false, true));
  const auto training = q.training_mode();
  q.step();
  CHECK(all(q.fake_quantizers(), true, true));  // step 3
  q.step();
  CHECK(all(q.fake_quantizers(), false, true));
}

TEST_CASE("quantizer_training: the governing module config decides, also when it has no schedule") {
  toy::graph g = small_net();
  quantizer_config config;
  config.global_config.qat_schedule = lutra::qat_schedule{0, 5, {}};
  module_config fc1;  // no schedule: always on
  config.set_module_name("fc1", fc1);
  quantizer q(g, config);
  q.prepare();
  index_t with = 0;
  index_t without = 0;
  const quantization_plan& applied = q.applied_plan();
  for (index_t i = 0; i < index_t(applied.groups.size()); ++i) {
    const auto& schedule = applied.settings_of(i).schedule;
    (schedule ? with : without) += 1;
    if (applied.group_name(i) == "fc1.weight") CHECK_FALSE(schedule);
    if (applied.group_name(i) == "fc2.weight") CHECK(schedule);
  }
  CHECK(with > 0);
  CHECK(without > 0);
}

TEST_CASE("quantizer_training: switches by hand, unless a schedule decides") {
  toy::graph g = small_net();
  quantizer q(g, train_activations);
  q.prepare(batch(0));
  q.enable_fake_quants(false);
  q.enable_observers(true);
  CHECK(all(q.fake_quantizers(), true, false));

  toy::graph h = small_net();
  quantizer_config config = train_activations;
  config.global_config.qat_schedule = lutra::qat_schedule{};
  quantizer r(h, config);
  r.prepare();
  CHECK(error_of([&] { r.enable_observers(true); }).problem() == "a qat_schedule decides");
  CHECK(all(r.fake_quantizers(), false, true));

  toy::graph i = small_net();  // a schedule that nothing follows still is one
  config = train_activations;
  config.set_module_name("nowhere", {.qat_schedule = lutra::qat_schedule{}});
  quantizer s(i, config);
  s.prepare();
  CHECK(error_of([&] { s.enable_observers(true); }).value() == "module name 'nowhere'");
}

TEST_CASE("quantizer_training: switches by hand of one module") {
  toy::graph g = small_net();
  quantizer q(g);
  q.prepare(batch(0));
  q.enable_fake_quants(false, "fc1");
  q.enable_observers(true, "fc2");
  const std::vector<char> first = groups_below(q.applied_plan(), "fc1", "test");
  const std::vector<char> second = groups_below(q.applied_plan(), "fc2", "test");
  bool some = false;
  bool others = false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    CHECK(q.fake_quantizers()[i].fake_quant_enabled() == (first[i] == 0));
    CHECK(q.fake_quantizers()[i].observer_enabled() == (second[i] != 0));
    some = some || first[i] != 0;
    others = others || second[i] != 0;
  }
  CHECK(some);
  CHECK(others);
  const error e = error_of([&] { q.enable_observers(true, "fc3"); });
  CHECK(e.code() == errc::invalid_argument);
  CHECK(e.value() == "'fc3'");
  { const auto scope = q.calibration_mode(); }  // ends all of it
  CHECK(all(q.fake_quantizers(), false, true));
}

TEST_CASE("quantizer_training: steps that no schedule reads are told once") {
  for (const bool scheduled : {false, true}) {
    toy::graph g = small_net();
    quantizer_config config = train_activations;
    if (scheduled) config.set_module_type("nn.T", {.qat_schedule = lutra::qat_schedule{}});
    index_t lines = 0;
    quantizer q(g, config, {.log = [&](log_level, std::string_view line) {
                  lines += line.starts_with("quantizer::step") ? 1 : 0;
                }});
    q.prepare();
    const auto training = q.training_mode();
    for (int k = 0; k < 3; ++k) q.step();
    CHECK(lines == (scheduled ? 0 : 1));
  }
}

TEST_CASE("quantizer_training: the fake-quantizers hold the schedules, followed in training only") {
  toy::graph g = small_net();
  quantizer_config config = train_activations;
  config.global_config.qat_schedule = lutra::qat_schedule{1, 2, 4};
  quantizer q(g, config);
  q.prepare(batch(0));
  const auto following = [&](bool expected, std::int64_t steps) {
    for (const fake_quantizer& fq : q.fake_quantizers()) {
      CHECK(fq.schedule() == config.global_config.qat_schedule);
      CHECK(fq.follows_schedule() == expected);
      CHECK(fq.steps() == steps);
    }
    CHECK(q.steps() == steps);
  };
  following(false, 0);
  {
    const auto training = q.training_mode();
    following(true, 0);
    q.step();
    following(true, 1);
  }
  following(false, 1);
  q.calibrate(std::vector<tensor<float>>{batch(0)});
  following(false, 1);
}

TEST_CASE("quantizer_training: data pass where a schedule quantizes before anything was observed") {
  toy::graph g = small_net();
  toy::graph plain = small_net();
  quantizer_config config = train_activations;
  config.global_config.qat_schedule = lutra::qat_schedule{0, 0, 1};
  quantizer q(g, config);
  q.prepare();
  const auto training = q.training_mode();
  q.step();  // observers are off by now
  CHECK(all(q.fake_quantizers(), false, true));
  CHECK(q.run(batch(0)) ==
        graph_traits<toy::graph>::run(plain, batch(0), [](auto...) { FAIL("a fake-quant node"); }));
  CHECK(all(q.fake_quantizers(), false, true));
  for (const fake_quantizer& fq : q.fake_quantizers()) CHECK(fq.follows_schedule());
}

TEST_CASE("quantizer_training: a step leaves switches set by hand") {
  toy::graph g = small_net();
  quantizer q(g, train_activations);
  q.prepare(batch(0));
  const auto training = q.training_mode();
  q.enable_observers(false);
  q.step();
  CHECK(all(q.fake_quantizers(), false, true));
}
