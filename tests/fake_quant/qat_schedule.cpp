#include <lutra/fake_quant/qat_schedule.hpp>

#include "../errors.hpp"

using namespace lutra;

TEST_CASE("qat_schedule: state follows the step") {
  const qat_schedule s{.enable_observer = 1, .enable_fake_quant = 3, .disable_observer = 5};
  check(s, "test");
  const std::initializer_list<qat_state> expected = {{false, false}, {true, false}, {true, false},
                                                     {true, true},   {true, true},  {false, true},
                                                     {false, true}};
  std::int64_t step = 0;
  for (const qat_state& e : expected) CHECK(state_at(s, step++) == e);
  CHECK(state_at({}, 0) == qat_state{true, true});
  CHECK(state_at({}, 1'000'000) == qat_state{true, true});
  static_assert(state_at(qat_schedule{.enable_fake_quant = 2}, 1) == qat_state{true, false});
}

TEST_CASE("qat_schedule: contradictions are refused, equality where it is allowed is not") {
  const auto checked = [](const qat_schedule& s) { check(s, "test"); };
  checked({.enable_fake_quant = 100, .disable_observer = 100});
  CHECK_ERROR(checked({.enable_observer = -1}), invalid_argument, "enable_observer out of range",
              "-1", ">= 0");
  CHECK_ERROR(checked({.enable_observer = 10, .enable_fake_quant = 5}), invalid_argument,
              "enable_fake_quant", "5", ">= 10");
  CHECK_ERROR(checked({.enable_observer = 5, .enable_fake_quant = 5, .disable_observer = 5}),
              invalid_argument, "disable_observer does not come after enable_observer", "5", "> 5");
  CHECK_ERROR(checked({.enable_fake_quant = 9, .disable_observer = 5}), invalid_argument,
              "disable_observer comes before enable_fake_quant", "5", ">= 9");
}
