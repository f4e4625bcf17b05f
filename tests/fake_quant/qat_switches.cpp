#include <lutra/fake_quant/fake_quantizer.hpp>
#include <lutra/fake_quant/qat_switches.hpp>

#include "../errors.hpp"

using namespace lutra;

namespace {
template <class S>
concept saves_its_schedule = requires(S& s, state_writer& w, state_reader& r) {
  s.save_schedule(w);
  s.load_schedule(r);
};
static_assert(!saves_its_schedule<qat_switches> && !saves_its_schedule<fake_quantizer>);

// What fake_quantizer sees of it.
struct part_of_state : qat_switches {
  using qat_switches::load_schedule;
  using qat_switches::save_schedule;
};
static_assert(saves_its_schedule<part_of_state>);

void load(part_of_state& s, const state_writer& w) {
  state_reader r(w.bytes(), "test");
  s.load_schedule(r);
  r.expect_end();
}
}  // namespace

TEST_CASE("qat_switches: by hand, by schedule, aside and back") {
  qat_switches s;
  CHECK(s.observer_enabled());
  CHECK(s.fake_quant_enabled());
  s.enable_observer(false);
  s.follow_schedule();  // there is none
  CHECK_FALSE(s.follows_schedule());
  CHECK_FALSE(s.observer_enabled());
  s.set_schedule(qat_schedule{1, 2, 3});
  CHECK_FALSE(s.fake_quant_enabled());
  CHECK_ERROR(s.enable_observer(true), invalid_state, "follow a schedule", "step 0");
  CHECK_ERROR(s.enable_fake_quant(true), invalid_state, "follow a schedule");
  s.step();
  CHECK(s.observer_enabled());
  s.set_switches(false, true);
  s.step();
  CHECK_FALSE(s.observer_enabled());
  s.enable_observer(true);  // left aside
  s.follow_schedule();
  CHECK(s.observer_enabled());
  s.set_steps(3);
  CHECK_FALSE(s.observer_enabled());
  CHECK(s.fake_quant_enabled());
  CHECK_ERROR(s.set_steps(-1), invalid_argument, "number of steps");
  CHECK_ERROR(s.set_steps(largest_count + 1), invalid_argument, "number of steps");
  CHECK(s.steps() == 3);
  CHECK_ERROR(s.set_schedule(qat_schedule{2, 1}), invalid_argument, "enable_fake_quant");
  CHECK(s.schedule() == qat_schedule{1, 2, 3});
}

TEST_CASE("qat_switches: schedule and steps come back, contradictions do not") {
  for (const auto& schedule : {std::optional<qat_schedule>(), std::optional(qat_schedule{1, 2, 3}),
                               std::optional(qat_schedule{0, 4})}) {
    part_of_state s, loaded;
    s.set_schedule(schedule);
    s.set_steps(2);
    loaded.set_schedule(qat_schedule{5, 6});
    state_writer w;
    s.save_schedule(w);
    load(loaded, w);
    CHECK(loaded.schedule() == schedule);
    CHECK(loaded.steps() == 2);
    CHECK_FALSE(loaded.follows_schedule());
    loaded.follow_schedule();
    CHECK(loaded.follows_schedule() == schedule.has_value());
    if (schedule) CHECK(loaded.observer_enabled() == s.observer_enabled());
  }
  const auto saved = [](std::int64_t steps, std::uint8_t present, std::int64_t observer,
                        std::int64_t fake_quant) {
    state_writer w;
    w.i64(steps);
    w.u8(present);
    for (const std::int64_t v : {observer, fake_quant, std::int64_t{-1}}) w.i64(v);
    return w;
  };
  part_of_state s;
  load(s, saved(7, 1, 1, 1));
  CHECK(s.steps() == 7);
  CHECK_ERROR(load(s, saved(-1, 1, 1, 1)), corrupt_data, "number of steps");
  CHECK_ERROR(load(s, saved(largest_count + 1, 0, 0, 0)), corrupt_data, "number of steps");
  CHECK_ERROR(load(s, saved(0, 2, 0, 0)), corrupt_data, "flag");
  CHECK_ERROR(load(s, saved(0, 1, 2, 1)), corrupt_data, "contradict");
}
