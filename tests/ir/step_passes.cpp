#include <lutra/ir/step_passes.hpp>

#include <doctest/doctest.h>

using namespace lutra;

namespace {

ir::integer_step conv(index_t from, index_t to) { return {"conv", ir::integer_conv{}, {from}, to}; }
ir::integer_step pool(index_t from, index_t to) {
  ir::integer_max_pool p;
  p.options.kernel = {2, 2};
  p.options.window.stride = {2, 2};
  return {"pool", p, {from}, to};
}
bool pools(const ir::integer_step& s) {
  return std::get<ir::integer_conv>(s.operation).options.pool;
}

}  // namespace

TEST_CASE("step_passes: a pool of 2 x 2 blocks that alone reads a convolution becomes part of it") {
  std::vector<ir::integer_step> steps{conv(0, 1), pool(1, 2), conv(2, 3)};
  ir::fuse_pools(steps, 3);
  REQUIRE(steps.size() == 2);
  CHECK(pools(steps[0]));
  CHECK(steps[0].result == 2);
  CHECK(steps[0].name == "conv");
  CHECK_FALSE(pools(steps[1]));
}

TEST_CASE("step_passes: a convolution that something else reads keeps its result") {
  std::vector<ir::integer_step> read{
      conv(0, 1), pool(1, 2), {"cat", ir::integer_concat{1}, {1, 2}, 3}};
  ir::fuse_pools(read, 3);
  CHECK(read.size() == 3);
  CHECK_FALSE(pools(read[0]));
  std::vector<ir::integer_step> returned{conv(0, 1), pool(1, 2)};
  ir::fuse_pools(returned, 1);
  CHECK(returned.size() == 2);
  CHECK_FALSE(pools(returned[0]));
}

TEST_CASE("step_passes: other pools, other windows and other steps before them stay") {
  const auto stays = [](const auto& change) {
    std::vector<ir::integer_step> steps{conv(0, 1), pool(1, 2)};
    change(steps);
    ir::fuse_pools(steps, 2);
    return steps.size() == 2;
  };
  const auto of_pool = [](auto edit) {
    return [edit](auto& steps) { edit(std::get<ir::integer_max_pool>(steps[1].operation)); };
  };
  CHECK_FALSE(stays([](auto&) {}));
  CHECK(stays(of_pool([](auto& p) { p.options.kernel = {3, 2}; })));
  CHECK(stays(of_pool([](auto& p) { p.options.window.stride = {2, 1}; })));
  CHECK(stays(of_pool([](auto& p) { p.options.window.padding = {1, 0}; })));
  CHECK(stays(of_pool([](auto& p) { p.adaptive = {2, 2}; })));
  CHECK(stays(of_pool([](auto& p) { p.axes = 1; })));
  CHECK(stays([](auto& steps) { std::get<ir::integer_conv>(steps[0].operation).axes = 1; }));
  CHECK(stays(
      [](auto& steps) { std::get<ir::integer_conv>(steps[0].operation).activated.emplace(); }));
  CHECK(stays([](auto& steps) { steps[0].operation = ir::integer_map{}; }));
}

TEST_CASE("step_passes: a value is needed up to the last step that reads it, the output for ever") {
  const std::vector<ir::integer_step> steps{
      conv(0, 1), {"add", ir::integer_add{}, {0, 1}, 2}, conv(2, 4)};
  CHECK(ir::last_uses(steps, 4, 5) == std::vector<index_t>{1, 1, 2, -1, -1});
  CHECK(ir::last_uses(steps, 1, 5) == std::vector<index_t>{1, -1, 2, -1, -1});
}
