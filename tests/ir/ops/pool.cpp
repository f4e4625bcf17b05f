#include <lutra/ir/ops/pool.hpp>

#include <cmath>
#include <limits>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

namespace {

ir::node pool_node(const char* op, double k, double s, double p) {
  return node_of(op, {{"kernel_size", {k}}, {"stride", {s}}, {"padding", {p}}});
}

}  // namespace

TEST_CASE("pool: max and average over every window, padding ignored or counted as zero") {
  const auto x = random_tensor({2, 3, 7, 9}, 1);
  for (const auto& [k, s, p] : {std::array<index_t, 3>{2, 2, 0}, {3, 2, 1}, {3, 1, 0}, {7, 1, 0}}) {
    const auto d = [](index_t i) { return static_cast<double>(i); };
    const auto largest = run_op(pool_node("max_pool2d", d(k), d(s), d(p)), {x});
    const auto mean = run_op(pool_node("avg_pool2d", d(k), d(s), d(p)), {x});
    const index_t oh = (7 + 2 * p - k) / s + 1;
    const index_t ow = (9 + 2 * p - k) / s + 1;
    REQUIRE(largest.extents() == shape{2, 3, oh, ow});
    for (index_t at = 0; at < largest.size(); ++at) {
      const index_t plane = at / (oh * ow);
      float best = -std::numeric_limits<float>::infinity();
      float sum = 0;
      for (index_t a = 0; a < k; ++a) {
        for (index_t b = 0; b < k; ++b) {
          const index_t i = at / ow % oh * s - p + a;
          const index_t j = at % ow * s - p + b;
          if (i < 0 || i >= 7 || j < 0 || j >= 9) continue;
          best = std::max(best, x[(plane * 7 + i) * 9 + j]);
          sum += x[(plane * 7 + i) * 9 + j];
        }
      }
      CHECK(largest[at] == best);
      CHECK(mean[at] == sum / static_cast<float>(k * k));
    }
  }
}

TEST_CASE("pool: 1-D pools, NaN and infinities") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const tensor<float> x({1, 1, 6}, {1.0F, nan, -inf, -inf, 3.0F, 2.0F});
  const auto y = run_op(pool_node("max_pool1d", 2, 2, 0), {x});
  CHECK(y.extents() == shape{1, 1, 3});
  CHECK(std::isnan(y[0]));
  CHECK(y[1] == -inf);
  CHECK(y[2] == 3.0F);
  CHECK(run_op(pool_node("avg_pool1d", 2, 2, 0), {x})[2] == 2.5F);
}

TEST_CASE("pool: adaptive average pools, global and uneven") {
  const auto x = random_tensor({2, 2, 5, 6}, 1);
  const auto global = run_op(node_of("adaptive_avg_pool2d", {{"output_size", {1}}}), {x});
  float sum = 0;
  for (index_t i = 0; i < 30; ++i) sum += x[i];
  CHECK(global.extents() == shape{2, 2, 1, 1});
  CHECK(global[0] == sum / 30.0F);
  const auto uneven = run_op(node_of("adaptive_avg_pool2d", {{"output_size", {2, 4}}}), {x});
  CHECK(uneven.extents() == shape{2, 2, 2, 4});
  float corner = 0;  // rows 2..4, columns 4..5
  for (index_t r = 2; r < 5; ++r) corner += x[r * 6 + 4] + 0.0F, corner += x[r * 6 + 5];
  CHECK(uneven[7] == corner / 6.0F);
}

TEST_CASE("pool: adaptive pools of one axis, and maxima") {
  const auto x = random_tensor({2, 3, 7}, 1);
  const auto mean = run_op(node_of("adaptive_avg_pool1d", {{"output_size", {3}}}), {x});
  const auto top = run_op(node_of("adaptive_max_pool1d", {{"output_size", {3}}}), {x});
  REQUIRE(mean.extents() == shape{2, 3, 3});
  REQUIRE(top.extents() == shape{2, 3, 3});
  const index_t begin[] = {0, 2, 4}, end[] = {3, 5, 7};
  for (index_t i = 0; i < mean.size(); ++i) {
    float sum = 0, best = -std::numeric_limits<float>::infinity();
    for (index_t k = begin[i % 3]; k < end[i % 3]; ++k) {
      sum += x[i / 3 * 7 + k];
      best = std::max(best, x[i / 3 * 7 + k]);
    }
    CHECK(mean[i] == sum / 3.0F);
    CHECK(top[i] == best);
  }
  const auto planes = random_tensor({1, 2, 4, 6}, 2);
  const auto global = run_op(node_of("adaptive_max_pool2d", {{"output_size", {1}}}), {planes});
  CHECK(global.extents() == shape{1, 2, 1, 1});
  CHECK(global[1] == *std::max_element(planes.data() + 24, planes.data() + 48));
  CHECK_ERROR(run_op(node_of("adaptive_max_pool1d", {{"output_size", {1}}}), {planes}),
              shape_mismatch, "wrong rank");
}

TEST_CASE("pool: means over any axes, summed in order") {
  const auto x = random_tensor({2, 3, 4, 5}, 1);
  const auto planes = run_op(node_of("mean", {{"dim", {-1, 2}}}), {x});
  const auto kept = run_op(node_of("mean", {{"dim", {2, 3}}, {"keepdim", {1}}}), {x});
  REQUIRE(planes.extents() == shape{2, 3});
  CHECK(kept.extents() == shape{2, 3, 1, 1});
  for (index_t i = 0; i < 6; ++i) {
    float sum = 0;
    for (index_t k = 0; k < 20; ++k) sum += x[i * 20 + k];
    CHECK(planes[i] == sum / 20.0F);
    CHECK(kept[i] == planes[i]);
  }
  const auto channels = run_op(node_of("mean", {{"dim", {1}}}), {x});
  REQUIRE(channels.extents() == shape{2, 4, 5});
  for (index_t i = 0; i < 40; ++i) {
    const index_t at = i / 20 * 60 + i % 20;
    CHECK(channels[i] == (x[at] + x[at + 20] + x[at + 40]) / 3.0F);
  }
  float all = 0;
  for (const float v : x.elements()) all += v;
  CHECK(run_op(node_of("mean"), {x}).extents() == shape{});
  CHECK(run_op(node_of("mean"), {x})[0] == all / 120.0F);
  CHECK_ERROR(run_op(node_of("mean"), {tensor<float>({0, 3})}), shape_mismatch, "no elements");
  CHECK_ERROR(run_op(node_of("mean", {{"dim", {4}}}), {x}), invalid_argument, "axis");
}

TEST_CASE("pool: windows that do not fit are refused") {
  const auto x = random_tensor({1, 1, 3, 3}, 1);
  CHECK_ERROR(run_op(pool_node("max_pool2d", 4, 1, 0), {x}), shape_mismatch, "does not fit",
              "[1, 1, 3, 3]");
  CHECK_ERROR(run_op(pool_node("max_pool2d", 2, 1, 2), {x}), shape_mismatch, "padding");
  CHECK_ERROR(run_op(node_of("max_pool2d"), {x}), invalid_graph, "'kernel_size'");
  CHECK_ERROR(run_op(pool_node("max_pool2d", 2, 1, 0), {random_tensor({3, 3}, 1)}), shape_mismatch,
              "rank");
  CHECK_ERROR(run_op(node_of("max_pool2d", {{"kernel_size", {2}}, {"dilation", {2}}}), {x}),
              unsupported, "dilated");
  CHECK_ERROR(
      run_op(node_of("adaptive_avg_pool2d", {{"output_size", {1}}}), {tensor<float>({1, 1, 0, 3})}),
      shape_mismatch, "empty plane");
}

TEST_CASE("pool: literals that would change the result and are not known are refused") {
  const auto x = random_tensor({1, 2, 5, 5}, 1);
  for (const char* key : {"ceil_mode", "count_include_pad", "divisor_override"}) {
    const double known = key == std::string_view("count_include_pad") ? 1 : 0;
    const std::map<std::string, std::vector<double>> plain{
        {"kernel_size", {2}}, {"stride", {2}}, {key, {known}}};
    auto odd = plain;
    odd[key] = {1 - known};
    CHECK_NOTHROW(run_op(node_of("avg_pool2d", plain), {x}));
    CHECK_ERROR(run_op(node_of("avg_pool2d", odd), {x}), unsupported, key, "node 'n'");
    CHECK_ERROR(run_op(node_of("max_pool2d", odd), {x}), unsupported, key, "node 'n'");
  }
}
