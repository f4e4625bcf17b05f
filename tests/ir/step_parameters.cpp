#include <lutra/ir/step_parameters.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;

namespace {
qparams codes(float scale, std::int32_t zero_point) {
  return {.scale = {scale}, .zero_point = {zero_point}, .minval = {}};
}
}  // namespace

TEST_CASE("step_parameters: uint8 parameters become int8 ones of the same values") {
  ir::node n = node_of("quantize");
  CHECK_ERROR(ir::parameters_of(n), invalid_graph, "no quantization parameters");
  n.quantization = qparams{.dtype = dtype::uint8,
                           .quant_min = 0,
                           .quant_max = 255,
                           .scale = {0.5F},
                           .zero_point = {7},
                           .minval = {}};
  const qparams q = ir::parameters_of(n);
  CHECK(q.dtype == dtype::int8);
  CHECK(q.quant_min == -128.0F);
  CHECK(q.quant_max == 127.0F);
  CHECK(q.zero_point == std::vector<std::int32_t>{-121});
  n.quantization->scale = {1.0F, 2.0F};
  n.quantization->zero_point = {0, 0};
  n.quantization->granularity = granularity::per_channel(0);
  CHECK_ERROR(ir::parameters_of(n), unsupported, "per-tensor", "2 scales");
}

TEST_CASE("step_parameters: a table holds what the float operations do to every code") {
  const ir::node act = node_of("silu");
  const ir::integer_map map = ir::table_between(codes(0.1F, 5), codes(0.05F, -20), &act);
  for (int q = -128; q <= 127; ++q) {
    const double x = (q - 5) * static_cast<double>(0.1F);
    const double y = x / (1 + std::exp(-x)) / static_cast<double>(0.05F) - 20;
    const double code = std::min(std::max(y, -128.0), 127.0);
    CHECK(std::abs(map.table[static_cast<std::size_t>(q + 128)] - code) <= 0.5001);
  }
  const ir::integer_map same = ir::table_between(codes(0.1F, 5), codes(0.1F, 5), nullptr);
  for (int q = -128; q <= 127; ++q) CHECK(same.table[static_cast<std::size_t>(q + 128)] == q);
}

TEST_CASE("step_parameters: codes that a relu leaves, windows, kinds of operations") {
  const ir::node relu = node_of("relu"), relu6 = node_of("relu6");
  const qparams q = codes(0.1F, -28);
  CHECK(ir::bounds(q, nullptr) == std::array<std::int32_t, 2>{-128, 127});
  CHECK(ir::bounds(q, &relu) == std::array<std::int32_t, 2>{-28, 127});
  CHECK(ir::bounds(q, &relu6) == std::array<std::int32_t, 2>{-28, 32});
  CHECK(ir::is_clamp(relu6));
  const ir::node window = node_of("hardtanh", {{"min_val", {-0.24}}, {"max_val", {1}}});
  CHECK(ir::bounds(q, &window) == std::array<std::int32_t, 2>{-30, -18});
  CHECK(ir::is_activation(node_of("gelu")));
  CHECK_FALSE(ir::is_clamp(node_of("gelu")));
  CHECK(ir::is_elementwise(node_of("sub")));
  const ir::node pool = node_of(
      "max_pool1d", {{"kernel_size", {3}}, {"stride", {2}}, {"padding", {1}}, {"dilation", {1}}});
  CHECK(ir::kernel_of(pool, 1) == std::array<index_t, 2>{1, 3});
  CHECK_ERROR(ir::kernel_of(node_of("max_pool1d"), 1), invalid_graph,
              "without a literal 'kernel_size'");
  CHECK(ir::sliding(pool, 1) == window2d::symmetric({1, 2}, {0, 1}));
  CHECK(ir::adaptive_size(node_of("p", {{"output_size", {4}}}), 2) == std::array<index_t, 2>{4, 4});
  CHECK(ir::adaptive_size(node_of("p", {{"output_size", {4}}}), 1) == std::array<index_t, 2>{1, 4});
  const auto mean =
      ir::mean_pool_of(node_of("mean", {{"dim", {-2, -1}}}), codes(0.5F, 1), codes(0.25F, 2));
  CHECK(mean.flat);
  CHECK(mean.adaptive == std::array<index_t, 2>{1, 1});
  CHECK(mean.options.multiplier == 2.0F);
  qparams narrow = codes(0.1F, 0);
  narrow.quant_min = -127;
  CHECK_ERROR(ir::mean_pool_of(node_of("mean"), q, narrow), unsupported, "full int8 range", "-127");
  CHECK_ERROR(ir::mean_pool_of(node_of("mean"), codes(1e-30F, 0), codes(1e30F, 0)), unsupported,
              "normal multiplier");
}
