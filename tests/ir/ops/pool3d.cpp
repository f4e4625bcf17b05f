#include <lutra/ir/ops/pool3d.hpp>

#include <limits>

#include <lutra/ir/builder.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::attribute;
using test::node_of;
using test::random_tensor;
using test::run_op;

namespace {

using triple = std::array<index_t, 3>;
ir::node volume_pool(const char* op, const triple& k, const triple& s, const triple& p) {
  return node_of(
      op, {{"kernel_size", attribute(k)}, {"stride", attribute(s)}, {"padding", attribute(p)}});
}

}  // namespace

TEST_CASE("pool3d: max and average over every window, padding ignored or counted as zero") {
  const auto x = random_tensor({2, 3, 5, 7, 6}, 1);
  struct geometry {
    triple kernel, stride, padding;
  };
  for (const auto& [k, s, p] : {geometry{{2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
                                {{3, 2, 4}, {1, 2, 3}, {1, 1, 2}},
                                {{5, 7, 6}, {1, 1, 1}, {0, 0, 0}},
                                {{1, 1, 1}, {2, 3, 1}, {0, 0, 0}}}) {
    const auto largest = run_op(volume_pool("max_pool3d", k, s, p), {x});
    const auto mean = run_op(volume_pool("avg_pool3d", k, s, p), {x});
    triple size{};
    for (std::size_t a = 0; a < 3; ++a) {
      size[a] = (x.extent(static_cast<int>(a) + 2) + 2 * p[a] - k[a]) / s[a] + 1;
    }
    REQUIRE(largest.extents() == shape{2, 3, size[0], size[1], size[2]});
    REQUIRE(mean.extents() == largest.extents());
    for (index_t at = 0; at < largest.size(); ++at) {
      const index_t volume = at / (size[0] * size[1] * size[2]);
      float best = -std::numeric_limits<float>::infinity();
      float sum = 0;
      for (index_t i = 0; i < k[0] * k[1] * k[2]; ++i) {
        const index_t z = at / (size[1] * size[2]) % size[0] * s[0] - p[0] + i / (k[1] * k[2]);
        const index_t y = at / size[2] % size[1] * s[1] - p[1] + i / k[2] % k[1];
        const index_t c = at % size[2] * s[2] - p[2] + i % k[2];
        if (z < 0 || z >= 5 || y < 0 || y >= 7 || c < 0 || c >= 6) continue;
        const float v = x[((volume * 5 + z) * 7 + y) * 6 + c];
        best = std::max(best, v);
        sum += v;
      }
      CHECK(largest[at] == best);
      CHECK(mean[at] == sum / static_cast<float>(k[0] * k[1] * k[2]));
    }
  }
}

TEST_CASE("pool3d: volumes of one slice are images") {
  const auto x = random_tensor({2, 3, 7, 9}, 1);
  const auto volumes = x.reshaped({2, 3, 1, 7, 9});
  const auto same = [&](const char* flat, const char* deep, const ir::literal_map& two,
                        const ir::literal_map& three) {
    const auto a = run_op(node_of(flat, two), {x});
    const auto b = run_op(node_of(deep, three), {volumes});
    CHECK(a.elements() == b.elements());
    CHECK(b.rank() == 5);
  };
  const ir::literal_map two{{"kernel_size", {3, 2}}, {"stride", {2, 1}}, {"padding", {1, 1}}};
  const ir::literal_map three{
      {"kernel_size", {1, 3, 2}}, {"stride", {1, 2, 1}}, {"padding", {0, 1, 1}}};
  same("max_pool2d", "max_pool3d", two, three);
  same("avg_pool2d", "avg_pool3d", two, three);
  same("adaptive_max_pool2d", "adaptive_max_pool3d", {{"output_size", {3, 4}}},
       {{"output_size", {1, 3, 4}}});
  same("adaptive_avg_pool2d", "adaptive_avg_pool3d", {{"output_size", {3, 4}}},
       {{"output_size", {1, 3, 4}}});
}

TEST_CASE("pool3d: adaptive windows cover every position, the whole volume too") {
  const auto x = random_tensor({1, 2, 5, 3, 4}, 2);
  const auto all = run_op(node_of("adaptive_max_pool3d", {{"output_size", {1}}}), {x});
  REQUIRE(all.extents() == shape{1, 2, 1, 1, 1});
  for (index_t c = 0; c < 2; ++c) {
    CHECK(all[c] == *std::max_element(x.data() + 60 * c, x.data() + 60 * (c + 1)));
  }
  // Depth 5 in two windows: 0..2 and 2..4.
  const auto halves = run_op(node_of("adaptive_avg_pool3d", {{"output_size", {2, 1, 1}}}), {x});
  for (index_t o = 0; o < 4; ++o) {
    float sum = 0;
    for (index_t i = 0; i < 36; ++i) sum += x[o / 2 * 60 + o % 2 * 24 + i];
    CHECK(halves[o] == sum / 36.0F);
  }
  auto nan = x;
  nan[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(run_op(node_of("adaptive_max_pool3d", {{"output_size", {1}}}), {nan})[0]));
  CHECK(run_op(node_of("adaptive_max_pool3d", {{"output_size", {1}}}),
               {tensor<float>({0, 2, 5, 3, 4})})
            .extents() == shape{0, 2, 1, 1, 1});
}

TEST_CASE("pool3d: what does not fit is refused by name") {
  const auto x = random_tensor({1, 2, 5, 3, 4}, 2);
  const auto pool = [&](const ir::literal_map& literals, const tensor<float>& input) {
    return run_op(node_of("max_pool3d", literals), {input});
  };
  CHECK_ERROR(pool({{"kernel_size", {6, 1, 1}}}, x), shape_mismatch, "does not fit",
              "node 'n' (max_pool3d)", "[1, 2, 5, 3, 4]");
  CHECK_ERROR(pool({{"kernel_size", {3}}, {"padding", {0, 0, 2}}}, x), shape_mismatch,
              "padding exceeds half of the kernel", "got 2");
  CHECK_ERROR(pool({{"kernel_size", {2}}, {"dilation", {1, 2, 1}}}, x), unsupported, "dilated");
  CHECK_ERROR(pool({{"kernel_size", {2}}, {"ceil_mode", {1}}}, x), unsupported, "ceil_mode");
  CHECK_ERROR(pool({}, x), invalid_graph, "'kernel_size'");
  CHECK_ERROR(pool({{"kernel_size", {2, 2}}}, x), invalid_graph, "kernel_size", "got 2");
  CHECK_ERROR(pool({{"kernel_size", {2}}}, random_tensor({1, 2, 5, 3}, 1)), shape_mismatch,
              "wrong rank");
  CHECK_ERROR(run_op(node_of("adaptive_avg_pool3d"), {tensor<float>({1, 2, 0, 3, 4})}),
              shape_mismatch, "empty volume");
}
