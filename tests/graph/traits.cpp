#include <doctest/doctest.h>
#include <lutra/graph/traits.hpp>

#include "toy_graph.hpp"

struct not_a_graph {};

TEST_CASE("traits: concepts tell graphs from other types") {
  static_assert(lutra::readable_graph<toy::graph>);
  static_assert(lutra::editable_graph<toy::graph>);
  using callback =
      void (*)(lutra::fake_quant_id, lutra::tensor_view<const float>, lutra::tensor_view<float>);
  static_assert(lutra::executable_graph<toy::graph, lutra::tensor<float>, callback>);
  static_assert(!lutra::executable_graph<toy::graph, std::string, callback>);
  static_assert(!lutra::readable_graph<not_a_graph>);
  static_assert(!lutra::readable_graph<int>);
  CHECK(lutra::fake_quant_id{1} == lutra::fake_quant_id{1});
}
