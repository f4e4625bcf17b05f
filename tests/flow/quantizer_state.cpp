// quantizer_state.hpp, and save() and load() of a quantizer.
#include <lutra/flow/quantizer.hpp>

#include "errors.hpp"
#include "fake_quant/earlier_versions.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {
const quantizer_config state_config{.global_config = {.op_state_spec = {}}};
quantizer_config scheduled(const qat_schedule& s) {
  quantizer_config config = state_config;
  config.global_config.qat_schedule = s;
  return config;
}
std::span<const std::uint8_t> part(const std::vector<std::uint8_t>& bytes, std::size_t n) {
  return std::span(bytes).first(n);
}
// What quantizer::save() of version 1 wrote.
std::vector<std::uint8_t> version_1(const std::vector<fake_quantizer>& fqs,
                                    const quantization_plan& plan, std::int64_t steps) {
  state_writer w;
  w.u32(0x5A51544CU);
  w.u32(1);
  w.i64(steps);
  w.u64(fqs.size());
  for (std::size_t i = 0; i < fqs.size(); ++i) {
    const std::vector<std::uint8_t> bytes = test::saved_as_version(2, fqs[i]);
    w.text(plan.group_name(index_t(i)));
    w.u8(1);
    w.text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  return w.take();
}
}  // namespace

TEST_CASE(
    "quantizer_state: batch_undo takes back what happened since the first keep, of batches within "
    "as well") {
  const tensor<float> x(shape{2}, {-1, 2}), y(shape{2}, {-3, 4});
  quantizer_state state{{}, {0, 0, 0}};
  std::vector<value_sample> samples(3);
  for (int i = 0; i < 3; ++i)
    state.fake_quants.emplace_back(quantization_spec{}, target::activation);
  batch_undo* current = nullptr;
  const auto observe = [&](std::size_t i, const tensor<float>& t) {
    if (current != nullptr) current->keep(i);
    state.fake_quants[i].observe(view(t));
    samples[i].add(view(t), granularity::per_tensor());
    state.calibrated[i] = 1;
  };
  observe(0, x);
  const auto first = state.fake_quants[0].save(), fresh = state.fake_quants[1].save();
  const auto batch_of = [&](bool inner_fails, bool outer_fails) {
    const batch_undo outer(state, samples, current);
    observe(0, y);
    try {
      const batch_undo inner(state, samples, current);
      observe(0, x);
      observe(1, x);
      if (inner_fails) throw std::runtime_error("inner");
    } catch (const std::runtime_error&) {
      CHECK(state.fake_quants[1].save() == fresh);
      CHECK(state.fake_quants[0].samples() == 4);
    }
    CHECK(current == &outer);
    observe(2, y);
    if (outer_fails) throw std::runtime_error("outer");
  };
  for (const bool inner_fails : {false, true}) {
    CHECK_THROWS_AS(batch_of(inner_fails, true), std::runtime_error);
    CHECK(current == nullptr);
    CHECK(state.fake_quants[0].save() == first);
    for (const std::size_t i : {1U, 2U}) {
      CHECK(state.fake_quants[i].save() == fresh);
      CHECK(state.calibrated[i] == 0);
      CHECK(samples[i].extents() == shape{0});
    }
  }
  batch_of(false, false);
  CHECK(state.fake_quants[0].samples() == 6);
  CHECK(state.calibrated == std::vector<char>{1, 1, 1});
}

TEST_CASE("quantizer_state: a saved state continues in another object, bit for bit") {
  toy::graph g = small_net();
  quantizer q(g);
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0), batch(1)});
  {
    const auto training = q.training_mode();
    q.step();
  }
  const std::vector<std::uint8_t> saved = q.save();

  toy::graph h = small_net();
  quantizer r(h);
  CHECK(error_of([&] { r.load(saved); }).problem() == "prepare() was not called");
  r.prepare();
  r.load(saved);
  CHECK(r.steps() == 1);
  CHECK(r.save() == saved);
  CHECK(all(r.fake_quantizers(), false, true));
  CHECK(q.run(batch(5)) == r.run(batch(5)));
  for (auto* both : {&q, &r}) both->calibrate(std::vector<tensor<float>>{batch(2)});
  CHECK(q.run(batch(6)) == r.run(batch(6)));
  r.finalize();  // calibrated by what was loaded
}

TEST_CASE("quantizer_state: a state that does not fit changes nothing") {
  toy::graph g = small_net();
  quantizer q(g, state_config);
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0)});
  const std::vector<std::uint8_t> saved = q.save();

  for (std::size_t n = 0; n < saved.size(); ++n) {  // every prefix
    CHECK(error_of([&] { q.load(part(saved, n)); }).code() == errc::corrupt_data);
  }
  std::vector<std::uint8_t> longer = saved;
  longer.push_back(0);
  CHECK(error_of([&] { q.load(longer); }).problem() == "bytes left over");
  std::vector<std::uint8_t> newer = saved;
  newer[4] = 9;
  CHECK_ERROR(q.load(newer), unsupported, "another version", "9", "1..2");
  CHECK(q.save() == saved);

  toy::graph h = small_net();
  quantizer r(h);  // weights too
  r.prepare();
  const std::vector<std::uint8_t> before = r.save();
  CHECK(error_of([&] { r.load(saved); }).code() == errc::incompatible);
  CHECK(r.save() == before);
  const auto scope = q.calibration_mode();
  CHECK(error_of([&] { q.load(saved); }).problem() == "a calibration scope is open");
}

TEST_CASE("quantizer_state: one fake-quantizer per group, its schedule left aside") {
  toy::graph g = small_net();
  const quantization_plan p = plan(g, scheduled({1, 2, 4}));
  const quantizer_state s = quantizer_state::of(p);
  REQUIRE(s.fake_quants.size() == p.groups.size());
  CHECK(s.calibrated == std::vector<char>(p.groups.size(), 0));
  for (std::size_t i = 0; i < p.groups.size(); ++i) {
    CHECK(s.fake_quants[i].spec() == p.settings_of(index_t(i)).spec);
    CHECK(s.fake_quants[i].schedule() == p.settings_of(index_t(i)).schedule);
    CHECK_FALSE(s.fake_quants[i].follows_schedule());
  }
  CHECK(s.steps() == 0);
  CHECK(quantizer_state{}.steps() == 0);
  const quantizer_state again = load_state(save_state(s, p), p, quantizer_state::of(p), "here");
  CHECK(save_state(again, p) == save_state(s, p));
}

TEST_CASE("quantizer_state: training goes on at the saved step of the schedule") {
  toy::graph g = small_net();
  toy::graph h = small_net();
  quantizer q(g, scheduled({1, 2, 4}));
  quantizer r(h, scheduled({1, 2, 4}));
  q.prepare(batch(0));
  r.prepare();
  {
    const auto training = q.training_mode();
    for (int i = 0; i < 3; ++i) q.step();
    CHECK(q.fake_quantizers()[0].observer_enabled());
    r.load(q.save());  // switches of the scope are not taken over
  }
  for (const fake_quantizer& fq : r.fake_quantizers()) {
    CHECK_FALSE(fq.follows_schedule());
    CHECK_FALSE(fq.observer_enabled());
    CHECK(fq.fake_quant_enabled());
  }
  CHECK(r.steps() == 3);
  const auto training = r.training_mode();
  CHECK(r.fake_quantizers()[0].observer_enabled());
  r.step();
  CHECK_FALSE(r.fake_quantizers()[0].observer_enabled());
}

TEST_CASE("quantizer_state: version 1 is read, with the schedules of the config") {
  toy::graph g = small_net();
  quantizer q(g, state_config);
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0)});
  const auto old = [&](std::int64_t steps) {
    return version_1(q.fake_quantizers(), q.applied_plan(), steps);
  };
  toy::graph h = small_net();
  quantizer r(h, scheduled({1, 2, 4}));
  r.prepare();
  r.load(old(3));
  CHECK(r.steps() == 3);
  CHECK(r.run(batch(5)) == q.run(batch(5)));
  for (const fake_quantizer& fq : r.fake_quantizers()) {
    CHECK(fq.schedule() == qat_schedule{1, 2, 4});
    CHECK(fq.steps() == 3);
    CHECK_FALSE(fq.follows_schedule());
  }
  const std::vector<std::uint8_t> before = r.save();
  CHECK_ERROR(r.load(old(-1)), corrupt_data, "number of steps", "-1");
  CHECK_ERROR(r.load(old(std::int64_t{1} << 62)), corrupt_data, "number of steps");
  std::vector<fake_quantizer> own = q.fake_quantizers();  // version 1 kept schedules apart
  own[0].set_schedule(qat_schedule{});
  CHECK_ERROR(r.load(version_1(own, q.applied_plan(), 0)), corrupt_data, "schedule of its own");
  CHECK(r.save() == before);
  r.finalize();  // calibrated by what was loaded
}

TEST_CASE("quantizer_state: other schedules and contradicting steps are refused") {
  toy::graph g = small_net();
  quantizer q(g, scheduled({1, 2, 4}));
  q.prepare();
  const std::vector<std::uint8_t> before = q.save();
  toy::graph h = small_net();
  quantizer other(h, scheduled({1, 2, 5}));
  other.prepare();
  CHECK_ERROR(q.load(other.save()), incompatible, "another qat_schedule", "'input 0'");
  quantizer_state uneven = quantizer_state::of(q.applied_plan());
  uneven.fake_quants.back().step();
  CHECK_ERROR(q.load(save_state(uneven, q.applied_plan())), corrupt_data, "different steps", "1");
  CHECK(q.save() == before);
}
