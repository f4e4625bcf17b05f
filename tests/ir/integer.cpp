#include <lutra/ir/integer.hpp>

#include <stdexcept>

#include "ir/finalized.hpp"

using namespace lutra;
using test::random_tensor;

namespace {

ir::graph relu_chain() {
  ir::builder b;
  const auto x = b.input("x");
  const auto y = b.linear(x, b.state("a.weight", random_tensor({6, 5}, 1)));
  b.output(b.add(b.relu(y), y));
  return std::move(b).build();
}

// Of images with three channels.
ir::integer_program two_convolutions(const tensor<float>& x) {
  ir::builder b;
  const auto y = b.conv2d(b.input("x"), b.state("a.weight", random_tensor({4, 3, 1, 1}, 4)));
  b.output(b.conv2d(y, b.state("b.weight", random_tensor({5, 4, 1, 1}, 5))));
  return ir::lower(test::finalized(std::move(b).build(), x));
}

struct stopping_executor {
  template <class F> void bulk(index_t, F&&) const { throw std::runtime_error("stopped"); }
};

}  // namespace

TEST_CASE("integer: a program lists its steps and the meaning of its output") {
  const auto x = random_tensor({20, 5}, 2);
  const ir::graph g = test::finalized(relu_chain(), x);
  const ir::integer_program program = ir::lower(g);
  REQUIRE(program.steps().size() == 3);  // linear, relu as a map, add
  CHECK(std::holds_alternative<ir::integer_linear>(program.steps()[0].operation));
  CHECK(std::holds_alternative<ir::integer_map>(program.steps()[1].operation));
  CHECK(std::holds_alternative<ir::integer_add>(program.steps()[2].operation));
  CHECK(program.steps()[0].name == "node 'linear' (linear)");
  const ir::node& last = g.at(g.at(g.outputs[0]).producer);
  CHECK(program.output_parameters().scale == last.quantization->scale);
  // One linear layer, then exact look-ups: codes equal the simulation's wherever its sums round alike.
  const auto simulated = ir::interpreter(g).run(x);
  const auto codes = program.run_codes(lutra::view(x));
  const auto values = program.run(x);
  for (index_t i = 0; i < codes.size(); ++i) {
    CHECK(values[i] == static_cast<float>(codes[i]) * program.output_parameters().scale[0]);
    CHECK(std::abs(values[i] - simulated[i]) < 2.5F * program.output_parameters().scale[0]);
  }
}

TEST_CASE("integer: an input of another shape is refused with the node's name") {
  const auto x = random_tensor({20, 5}, 2);
  const ir::integer_program program = ir::lower(test::finalized(relu_chain(), x));
  CHECK_ERROR(program.run(random_tensor({3, 4}, 1)), shape_mismatch, "node 'linear' (linear)",
              "[3, 4]");
  CHECK(program.run(tensor<float>({0, 5})).extents() == shape{0, 6});
}

TEST_CASE("integer: what a kernel refuses names the node, one of several with the same operation") {
  const auto x = random_tensor({2, 3, 8, 8}, 3);
  const ir::integer_program program = two_convolutions(x);
  CHECK_ERROR(program.run(random_tensor({2, 2, 8, 8}, 1)), shape_mismatch,
              "x does not match the weight (node 'conv2d' (conv2d), conv2d): got [2, 2, 8, 8], "
              "allowed: [n, 3, h, w]");
}

// Refuses the second layer that it is given.
struct refusing_executor {
  int* calls;
  template <class F> void bulk(index_t n, F&& f) const {
    if (++*calls == 2) raise(errc::cancelled, "no more", "executor");
    serial_executor{}.bulk(n, f);
  }
};

TEST_CASE("integer: what an executor raises names the node as well") {
  const auto x = random_tensor({2, 3, 8, 8}, 3);
  const ir::integer_program program = two_convolutions(x);
  int calls = 0;
  CHECK_ERROR(program.run(x, refusing_executor{&calls}), cancelled,
              "no more (" + program.steps()[1].name + ", executor)");
  CHECK(program.steps()[1].name != program.steps()[0].name);
}

TEST_CASE("integer: an executor gets the layers; what it throws reaches the caller") {
  const auto x = random_tensor({20, 5}, 2);
  const ir::integer_program program = ir::lower(test::finalized(relu_chain(), x));
  CHECK_THROWS_WITH(program.run(x, stopping_executor{}), "stopped");
  CHECK_THROWS_WITH(program.run_codes(lutra::view(x), stopping_executor{}), "stopped");
  test::check_executor(program, x);
}

TEST_CASE("integer: strided inputs are read in their order") {
  const auto x = random_tensor({20, 5}, 2);
  const ir::integer_program program = ir::lower(test::finalized(relu_chain(), x));
  tensor<float> turned({5, 20});
  for (index_t i = 0; i < 100; ++i) turned[i % 5 * 20 + i / 5] = x[i];
  const index_t strides[] = {1, 20};
  CHECK(program.run_codes({turned.data(), {20, 5}, strides}) == program.run_codes(lutra::view(x)));
}
