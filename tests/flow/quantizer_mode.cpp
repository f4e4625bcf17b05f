#include <lutra/flow/quantizer_mode.hpp>

#include <lutra/ir/traits.hpp>

#include "nets.hpp"

using namespace lutra;

namespace {
struct mode_owner {
  int left = 0;
  void leave_mode() { ++left; }
};
}  // namespace

TEST_CASE("quantizer_mode: a switch restores what was set, where there is something to set") {
  ir::graph g;
  for (const bool before : {false, true}) {
    g.training = before;
    for (const bool on : {false, true}) {
      {
        const training_switch<ir::graph> in(g, on);
        CHECK(g.training == on);
        const training_switch<ir::graph> nested(g, !on);
        CHECK(g.training == !on);
      }
      CHECK(g.training == before);
    }
  }
  toy::graph without = small_net();
  const toy::graph same = without;
  { const training_switch<toy::graph> nothing(without, true); }
  CHECK(without.same_as(same));
}

TEST_CASE("quantizer_mode: a scope ends once, wherever it was moved") {
  ir::graph g;
  mode_owner owner;
  {
    mode_scope<mode_owner, ir::graph> scope(owner, g, true);
    {
      const auto moved = std::move(scope);
      CHECK(owner.left == 0);
      CHECK(g.training);
    }
    CHECK(owner.left == 1);
    CHECK_FALSE(g.training);
  }
  CHECK(owner.left == 1);
  CHECK_NOTHROW(refuse_scope(quantizer_mode::none, "here"));
  CHECK(error_of([] { refuse_scope(quantizer_mode::training, "here"); }).problem() ==
        "a training scope is open");
}

TEST_CASE("quantizer_mode: the first part of a config with a schedule") {
  quantizer_config config;
  CHECK(scheduled_part(config).empty());
  config.module_name_configs = {{"a.b", {.qat_schedule = qat_schedule{}}}};
  CHECK(scheduled_part(config) == "module name 'a.b'");
  config.module_type_configs = {{"nn.Linear", {.qat_schedule = qat_schedule{}}}};
  CHECK(scheduled_part(config) == "module type 'nn.Linear'");
  config.global_config.qat_schedule = qat_schedule{};
  CHECK(scheduled_part(config) == "global_config");
}
