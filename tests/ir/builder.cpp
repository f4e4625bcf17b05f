#include <lutra/ir/builder.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"

using namespace lutra;

TEST_CASE("builder: names, operands, literals and modules are as written") {
  ir::builder b;
  const auto x = b.input("x");
  const auto w = b.state("body.conv.weight", tensor<float>({2, 1, 3, 3}));
  b.module("body.conv", "nn.Conv2d");
  const auto c = b.conv2d(x, w, {}, {.stride = {2, 1}, .padding = {1, 0}, .groups = 1});
  b.module("");
  b.output(b.conv2d(c, b.state("w2", tensor<float>({2, 2, 1, 1}))));
  const ir::graph g = std::move(b).build();
  REQUIRE(g.order.size() == 2);
  const ir::node& n = g.at(g.order[0]);
  CHECK(n.op == "conv2d");
  CHECK(n.name == "conv2d");
  CHECK(g.at(g.order[1]).name == "conv2d_1");
  CHECK(n.operands == std::vector<ir::value_id>{x, w});
  CHECK(n.literals.at("stride") == std::vector<double>{2, 1});
  CHECK(n.literals.at("padding") == std::vector<double>{1, 0});
  CHECK(n.literals.at("groups") == std::vector<double>{1});
  CHECK(n.module_path == "body.conv");
  CHECK(g.at(g.order[1]).module_path.empty());
  CHECK(g.module_types.at("body.conv") == "nn.Conv2d");
  CHECK(g.at(x).role == value_role::graph_input);
  CHECK(g.at(w).role == value_role::state);
  CHECK(g.at(g.outputs[0]).producer == g.order[1]);
}

TEST_CASE("builder: pools stride by their kernel unless told otherwise") {
  ir::builder b;
  const auto x = b.input("x");
  b.output(b.max_pool2d(x, {.kernel = {2, 3}}));
  b.output(b.avg_pool2d(x, {.kernel = {2, 3}, .stride = {1, 2}}));
  const ir::graph g = std::move(b).build();
  CHECK(g.at(g.order[0]).literals.at("stride") == std::vector<double>{2, 3});
  CHECK(g.at(g.order[1]).literals.at("stride") == std::vector<double>{1, 2});
}

TEST_CASE("builder: transposed convolutions, batch norm with and without affine parameters") {
  ir::builder b;
  const auto x = b.input("x");
  const auto s = [&](const char* name) { return b.state(name, tensor<float>({1})); };
  const auto t = b.conv_transpose2d(x, s("w"), s("b"),
                                    {.stride = {2, 1}, .output_padding = {1, 0}, .groups = 1});
  const auto plain = b.batch_norm(t, s("m"), s("v"), 0.25);
  b.output(b.batch_norm(plain, s("g"), s("c"), s("m2"), s("v2")));
  b.output(b.permute(b.matmul(b.embedding(s("e"), b.input("i", false)), b.sub(x, x)), {1, 0}));
  const ir::graph g = std::move(b).build();
  const auto& conv = g.at(g.order[0]);
  CHECK(conv.literals.at("stride") == std::vector<double>{2, 1});
  CHECK(conv.literals.at("output_padding") == std::vector<double>{1, 0});
  CHECK(conv.operands.size() == 3);
  CHECK(g.at(g.order[1]).operands.size() == 3);
  CHECK(g.at(g.order[1]).literals.at("eps") == std::vector<double>{0.25});
  CHECK(g.at(g.order[2]).operands.size() == 5);
  CHECK(g.at(g.order.back()).literals.at("dims") == std::vector<double>{1, 0});
}

TEST_CASE("builder: a foreign value is refused by build") {
  ir::builder b;
  b.output(b.relu(ir::value_id{42}));
  CHECK_ERROR(std::move(b).build(), invalid_graph, "dangling value id", "got 42");
}
