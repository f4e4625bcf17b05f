#include <lutra/ir/ops/integer_operation.hpp>

#include <doctest/doctest.h>

using namespace lutra;

namespace {

template <class Op>
concept runs = requires(const Op& op, ir::integer_operands in) {
  { ir::execute(op, in) } -> std::same_as<ir::integer_value>;
};
template <class... Ops> constexpr bool all_run(const std::variant<Ops...>*) {
  return (runs<Ops> && ...);
}

}  // namespace

TEST_CASE("integer_operation: whatever it holds runs by visiting it") {
  static_assert(all_run(static_cast<const ir::integer_operation*>(nullptr)));
  ir::integer_map map;
  map.table.fill(7);
  const ir::integer_operation op = map;
  const ir::integer_value x({3});
  const ir::integer_value* const operand = &x;
  const auto y = std::visit([&](const auto& o) { return ir::execute(o, {&operand, 1}); }, op);
  CHECK(y == ir::integer_value({3}, {7, 7, 7}));
}
