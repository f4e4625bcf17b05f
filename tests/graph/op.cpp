#include <doctest/doctest.h>
#include <lutra/graph/op.hpp>

TEST_CASE("op: families follow the reference's table") {
  using lutra::family_of;
  using lutra::op_family;
  for (const char* op : {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
                         "conv_transpose3d", "linear"}) {
    CHECK(family_of(op) == op_family::weighted);
  }
  CHECK(family_of("embedding") == op_family::embedding);
  for (const char* op : {"matmul", "add", "mul", "add_", "imul", "@"}) {
    CHECK(family_of(op) == op_family::nary);
  }
  for (const char* op : {"sub", "sub_", "isub"}) CHECK(family_of(op) == op_family::nary_unfused);
  for (const char* op : {"flatten", "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool2d",
                         "adaptive_avg_pool3d", "mean", "cat", "concat"}) {
    CHECK(family_of(op) == op_family::range_preserving);
  }
  for (const char* op : {"relu", "relu_", "relu6", "gelu", "tanh", "hardtanh", "logsigmoid"}) {
    CHECK(family_of(op) == op_family::activation);
  }
  CHECK(family_of("batch_norm") == op_family::batch_norm);
  for (const char* op : {"div", "softmax", "view", "reshape", "bmm", "", "_", "relu__"}) {
    CHECK(family_of(op) == op_family::other);
  }
}

TEST_CASE("op: weight operands, ranks and default axes") {
  const auto conv = lutra::weight_of("conv2d");
  REQUIRE(conv);
  CHECK(conv->slot == 1);
  CHECK(conv->rank == 4);
  CHECK(conv->channel_axis == 0);
  CHECK(conv->block_axis == 1);
  const auto transposed = lutra::weight_of("conv_transpose3d");
  REQUIRE(transposed);
  CHECK(transposed->rank == 5);
  CHECK(transposed->channel_axis == 1);
  CHECK(transposed->block_axis == 0);
  const auto table = lutra::weight_of("embedding");
  REQUIRE(table);
  CHECK(table->slot == 0);
  CHECK(table->rank == 2);
  CHECK(lutra::weight_of("linear")->rank == 2);
  CHECK_FALSE(lutra::weight_of("matmul"));
  CHECK_FALSE(lutra::weight_of("batch_norm"));
}

TEST_CASE("op: axis-destroying ops") {
  for (const char* op : {"flatten", "reshape", "permute", "transpose", "t", "view", "unsqueeze",
                         "squeeze", "slice", "split", "chunk", "pad", "squeeze_"}) {
    CHECK(lutra::destroys_axes(op));
  }
  // The channel axis stays where it is.
  for (const char* op : {"max_pool2d", "avg_pool2d", "cat", "relu"}) {
    CHECK_FALSE(lutra::destroys_axes(op));
  }
}
